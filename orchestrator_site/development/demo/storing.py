"""Demonstration tasks in the database."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef

from orchestrator_site.development.demo.receipts import DOCUMENTATION_ADDRESS
from safety.models import Occasion, Receipt
from tasks.models import Attempt, Budget, Call, Event, Run, Step, Task, TaskResult

TABLES: Final[tuple[type[Model], ...]] = (
    Task,
    Receipt,
    Run,
    Budget,
    Step,
    Attempt,
    Call,
    Event,
    TaskResult,
)
# Tables whose ids the database gives, and other tables name.
NAMED: Final = (Run, Attempt)
# Submissions in one transaction: enough that a commit costs little, few enough to see progress.
BATCH: Final = 1_000


def store(submissions: Iterable[list[Model]]) -> Iterator[int]:
    """Store `submissions`, and yield the number of tasks in each batch.

    An interruption leaves whole tasks only.
    """
    remaining = iter(submissions)
    while batch := [*islice(remaining, BATCH)]:
        # Ids of events have the order of their times.
        rows = sorted((row for rows in batch for row in rows), key=_time)
        with transaction.atomic():
            for table in TABLES:
                some = [row for row in rows if isinstance(row, table)]
                # Rows that others name need the id that the database gives them. The database need
                # not send the others back; their ids are random, so none conflicts.
                table._default_manager.bulk_create(some, ignore_conflicts=table not in NAMED)
        yield sum(isinstance(row, Task) for row in rows)


def _time(row: Model) -> datetime:
    """Return when a row began; a budget has the time of its run."""
    began: Model | None = row.run if isinstance(row, Budget) else row
    at: datetime = getattr(began, "created_at", None) or getattr(began, "started_at", None)  # type: ignore[assignment]
    return at


def is_in_use() -> bool:
    """Return whether the database has the table of tasks, in this version or an older one."""
    return Task._meta.db_table in connection.introspection.table_names()


def holds_other_tasks() -> bool:
    """Return whether the database holds a task that `demo` has not made.

    A task that was inserted by SQL has no receipt.
    """
    own = Receipt.objects.filter(
        subject_id=OuterRef("pk"),
        occasion=Occasion.SUBMISSION,
        client_address__regex=DOCUMENTATION_ADDRESS,
    )
    return Task.objects.filter(~Exists(own)).exists()


def tidy_up() -> None:
    """Let PostgreSQL learn what is in the tables, and read indexes without their rows."""
    tables = ", ".join(table._meta.db_table for table in TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {tables}")
