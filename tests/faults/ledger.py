"""Compares the answers to clients with the rows in the database."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.faults.load import Ending, Load, Outcome

OK, UNAVAILABLE = 200, 503
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A task of the load, as stored in the database."""

    marker: str
    task_id: str
    has_receipt: bool


def rows_of(load: Load, database_url: str) -> list[Row]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT task.goal, task.id::text, receipt.id IS NOT NULL FROM tasks task"
            " LEFT JOIN receipts receipt ON receipt.subject_id = task.id"
            " WHERE starts_with(task.goal, %s)",
            [load.markers_begin_with],
        )
        return [Row(*row) for row in found]


def receipts_without_their_task(database_url: str) -> int:
    """Count receipts of accepted tasks without their task."""
    with psycopg.connect(database_url) as connection:
        row: Any = connection.execute(
            "SELECT count(*) FROM receipts WHERE verdict NOT IN ('blocked', 'none')"
            " AND NOT EXISTS (SELECT FROM tasks WHERE tasks.id = subject_id)"
        ).fetchone()
    return int(row[0])


def broken_promises(
    outcomes: list[Outcome], rows: list[Row], *, may_break_connections: bool
) -> list[str]:
    """Return a line for each kind of wrong answer, and for each kind of wrong row."""
    stored = {(row.marker, row.task_id) for row in rows}
    found = {
        "200 without its row": [
            one for one in outcomes if one.is_stored and (one.marker, one.task_id) not in stored
        ],
        "row without its receipt": [row for row in rows if not row.has_receipt],
        "stored twice": [
            marker for marker, count in Counter(row.marker for row in rows).items() if count > 1
        ],
        "status that is neither 200 nor 503": [
            one
            for one in outcomes
            if one.ending is Ending.ANSWERED and one.status not in (OK, UNAVAILABLE)
        ],
        "200 with another task": [
            one for one in outcomes if one.status == OK and one.goal != one.marker
        ],
        "503 without Retry-After": [
            one
            for one in outcomes
            if one.status == UNAVAILABLE and not re.fullmatch(r"[1-9]\d*", one.retry_after)
        ],
        "no answer in time": [one for one in outcomes if one.ending is Ending.SILENT],
    }
    if not may_break_connections:
        found["connection refused or broken"] = [
            one for one in outcomes if one.ending in (Ending.REFUSED, Ending.BROKEN)
        ]
    return [f"{len(ones)} x {name}: {ones[:SHOWN]}" for name, ones in found.items() if ones]


def stored_without_a_200(outcomes: list[Outcome], rows: list[Row]) -> int:
    """Count the stored tasks whose client did not get 200."""
    told = {one.marker for one in outcomes if one.is_stored}
    return sum(row.marker not in told for row in rows)
