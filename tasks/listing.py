"""Pages of a client's tasks, and of a task's events, by hand-written statements.

A page begins after a position in the list, the key of the last row that the client has seen. So new
rows, which come in at the other end, neither shift a page nor repeat a row.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection

from tasks.changes import ActorKind, kind_of_actor
from tasks.reading import COLUMNS, JOINS, ReadTask, task_of
from tasks.states import Priority, Status
from tasks.timeline import SUBMITTED

Row = TypeVar("Row")
Position = TypeVar("Position")


class ListedEvent(NamedTuple):
    """One change of a task, or its submission.

    Attributes:
        id: 0 for the submission.
        before, after: the status or priority; None where neither changed, and before a submission.
    """

    id: int
    kind: str
    created_at: datetime
    before: str | None
    after: str | None
    actor: ActorKind


class TaskPosition(NamedTuple):
    created_at: datetime
    id: UUID


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks of a client to list; None and empty mean all.

    Attributes:
        created_after, created_before, updated_after: exclusive.
    """

    statuses: Collection[Status] = ()
    priorities: Collection[Priority] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list, in its order.

    Attributes:
        has_more: whether there are rows after them.
        has_earlier: whether there are rows before them.
    """

    rows: list[Row]
    has_more: bool
    has_earlier: bool


def task_page(
    client_id: UUID,
    chosen: TaskFilter,
    *,
    position: TaskPosition | None,
    is_backward: bool,
    limit: int,
) -> Page[ReadTask]:
    """Return tasks of a client, the newest first, without their criteria and results.

    Args:
        position: the page begins after this task; None for the first page.
        is_backward: whether it ends before this task instead.
    """

    def fetch(count: int) -> list[ReadTask]:
        statement, parameters = _task_statement(client_id, chosen, position, is_backward, count)
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [task_of(list(row)) for row in cursor.fetchall()]

    return _page(fetch, limit, is_first=position is None, is_backward=is_backward)


def event_page(
    task_id: UUID, created_at: datetime, *, position: int | None, is_backward: bool, limit: int
) -> Page[ListedEvent]:
    """Return events of a task, its submission first.

    Args:
        created_at: when the task was submitted.
        position: the page begins after the event with this id; None for the first page.
        is_backward: whether it ends before this event instead.
    """
    submission = ListedEvent(0, SUBMITTED, created_at, None, Status.PENDING.value, ActorKind.CLIENT)

    def fetch(count: int) -> list[ListedEvent]:
        comparison, order = ("<", "DESC") if is_backward else (">", "ASC")
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT id, kind, created_at, data ->> 'from', data ->> 'to', actor_kind, actor
                FROM task_events WHERE task_id = %s AND id {comparison} %s
                ORDER BY id {order} LIMIT %s
                """,
                [task_id, position or 0, count],
            )
            events = [
                ListedEvent._make([*fields, ActorKind(kind or kind_of_actor(actor))])
                for *fields, kind, actor in cursor.fetchall()
            ]
        if position is None:
            return [submission, *events][:count]
        if is_backward and position > 0:
            return [*events, submission][:count]
        return events

    return _page(fetch, limit, is_first=position is None, is_backward=is_backward)


def _page(
    fetch: Callable[[int], list[Row]], limit: int, *, is_first: bool, is_backward: bool
) -> Page[Row]:
    """Fetch one row more than fits, which tells whether there are more."""
    rows = fetch(limit + 1)
    is_cut, rows = len(rows) > limit, rows[:limit]
    if is_backward:
        return Page(rows[::-1], has_more=True, has_earlier=is_cut)
    return Page(rows, has_more=is_cut, has_earlier=not is_first)


def _task_statement(
    client_id: UUID,
    chosen: TaskFilter,
    position: TaskPosition | None,
    is_backward: bool,
    count: int,
) -> tuple[str, list[Any]]:
    """Return the statement for up to `count` tasks, in the direction of the page.

    For chosen statuses and priorities it reads the first rows of each combination from the index
    that has them in order, and merges them. One condition for all of them would make PostgreSQL
    read through a million other tasks to find a few.
    """
    comparison, order = (">", "ASC") if is_backward else ("<", "DESC")
    conditions = ["client_id = %s"]
    values: list[Any] = [client_id]
    for condition, value in (
        ("created_at > %s", chosen.created_after),
        ("created_at < %s", chosen.created_before),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if chosen.updated_after is not None:
        # Part of the text, so that PostgreSQL plans for this time and not for any: which index is
        # the better one depends on how many tasks have changed since.
        conditions.append(f"updated_at > '{chosen.updated_after.isoformat()}'")
    if position is not None:
        conditions.append(f"(created_at, id) {comparison} (%s, %s)")
        values += position
    ordered = f"ORDER BY created_at {order}, id {order} LIMIT {count:d}"
    parts, parameters = [], []
    for combination in _combinations(chosen):
        where = " AND ".join([*conditions, *(f"{column} = %s" for column in combination)])
        parts.append(f"(SELECT id, created_at FROM tasks WHERE {where} {ordered})")
        parameters += [*values, *combination.values()]
    found = " UNION ALL ".join(parts)
    return (
        f"SELECT {COLUMNS} FROM tasks JOIN ("
        f"SELECT id, created_at FROM ({found}) AS parts {ordered}"
        f") AS found USING (id, created_at) {JOINS} "
        f"ORDER BY tasks.created_at {order}, tasks.id {order}",
        parameters,
    )


def _combinations(chosen: TaskFilter) -> list[dict[str, str]]:
    """Return the pairs of status and priority to look for; one without both for all tasks."""
    statuses: Sequence[str] = [status.value for status in Status if status in chosen.statuses]
    priorities = [priority.value for priority in Priority if priority in chosen.priorities]
    if not statuses and not priorities:
        return [{}]
    pairs = itertools.product(
        statuses or [status.value for status in Status],
        priorities or [priority.value for priority in Priority],
    )
    return [{"status": status, "priority": priority} for status, priority in pairs]
