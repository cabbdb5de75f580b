"""Demonstration tasks in the database."""

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef

from orchestrator_site.development.demo.receipts import DOCUMENTATION_ADDRESS
from safety.models import Occasion, Receipt
from tasks.models import Event, Task, TaskResult

TABLES: Final[tuple[type[Model], ...]] = (Task, Receipt, Event, TaskResult)
# Submissions in one transaction: enough that a commit costs little, few enough to see progress.
BATCH: Final = 1_000


def store(submissions: Iterable[list[Model]]) -> Iterator[int]:
    """Store `submissions`, and yield the number of tasks in each batch.

    An interruption leaves whole tasks only.
    """
    remaining = iter(submissions)
    while batch := [*islice(remaining, BATCH)]:
        # Ids of events have the order of their times.
        rows = sorted((row for rows in batch for row in rows), key=attrgetter("created_at"))
        with transaction.atomic():
            for table in TABLES:
                some = [row for row in rows if isinstance(row, table)]
                # Else the database would send each row back. Ids are random: none conflicts.
                table._default_manager.bulk_create(some, ignore_conflicts=True)
        yield sum(isinstance(row, Task) for row in rows)


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
