"""Rows into the database, as fast as it takes them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.db import connection, models, transaction

from orchestrator_site.development.demo.rows import EventRow, ReceiptRow, ResultRow, Rows, TaskRow
from orchestrator_site.development.demo.screenings import DOCUMENTATION_ADDRESSES
from safety.models import Receipt
from tasks.models import Event, Task, TaskResult

# In one transaction: enough that committing costs little, few enough to watch them come.
BATCH: Final = 1_000
_DO_RECEIPTS_NAME_TASKS: Final = """
    SELECT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('receipts') AND attname = 'subject_id' AND NOT attisdropped
    )
"""
_NAMED: Final = "subject_id = tasks.id AND occasion = 'submission'"
_OF_SAME_ID: Final = "receipts.id = tasks.id"


def store(submissions: Iterable[Rows]) -> Iterator[int]:
    """Store `submissions`, and yield how many tasks there are after each batch.

    Whoever stops it leaves whole tasks only.
    """
    remaining, stored = iter(submissions), 0
    while batch := [*islice(remaining, BATCH)]:
        rows = Rows()
        rows.extend(batch)
        # In the order in which they would have been written.
        rows.events.sort(key=attrgetter("created_at"))
        with transaction.atomic():
            _copy(Task, TaskRow, rows.tasks)
            _copy(Receipt, ReceiptRow, rows.receipts)
            _copy(Event, EventRow, rows.events)
            _copy(TaskResult, ResultRow, rows.results)
        stored += len(rows.tasks)
        yield stored


def holds_other_tasks() -> bool:
    """Return whether the database holds a task that did not come from here.

    No client has an address of the ranges that are for documents; a task that came by plain SQL
    has no receipt. It need not be migrated yet: before a receipt named its task, it had its id.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('tasks')")
        if cursor.fetchone() == (None,):
            return False
        cursor.execute(_DO_RECEIPTS_NAME_TASKS)
        is_named = cursor.fetchone() == (True,)
        cursor.execute(
            f"""
            SELECT EXISTS (
                SELECT FROM tasks LEFT JOIN receipts ON {_NAMED if is_named else _OF_SAME_ID}
                WHERE client_address LIKE ANY (%s) IS NOT TRUE
            )
            """,  # noqa: S608 - no input
            [[f"{start}%" for start in DOCUMENTATION_ADDRESSES]],
        )
        return bool(cursor.fetchone()[0])


def tidy_up() -> None:
    """Let PostgreSQL learn what is in the tables, and read indexes without their rows."""
    tables = ", ".join(table._meta.db_table for table in (Task, Receipt, Event, TaskResult))
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {tables}")


def _copy(table: type[models.Model], row: type[NamedTuple], rows: Sequence[NamedTuple]) -> None:
    columns = ", ".join(row._fields)
    # Names of our own models, no input.
    statement = f"COPY {table._meta.db_table} ({columns}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for values in rows:
            copy.write_row([_json(value) for value in values])


def _json(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
