"""Changing tasks: one statement changes one task or many, and writes their events.

The statement changes the tasks that may be changed and leaves the others alone. When two statements
race for a task, the second one finds it changed. Rows are locked in the order of their ids, so that
two statements cannot deadlock.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import connection, models

from tasks.execution import counting


class EventKind(models.TextChoices):
    """Kinds of events; the first two are named after the column of the task that changes."""

    STATUS = "status", "entered a status"
    PRIORITY = "priority", "got another priority"
    # What workers do. Each has the number of the run, and most that of the step.
    RUN = "run", "a run began"
    CLAIM = "claim", "a worker claimed it"
    CALL = "call", "an arm was called"
    RETRY = "retry", "it is tried again"
    PARK = "park", "it waits"
    RECOVERY = "recovery", "another worker took over"
    RESULT = "result", "a result came"
    # Staff let a parked task begin.
    RELEASE = "release", "it was released"
    PLAN = "plan", "a plan was made"
    CHECK = "check", "the criteria were checked"
    # Staff accepted or rejected the result, or nobody did so in time.
    DECISION = "decision", "it was decided about"


class ActorKind(models.TextChoices):
    """Kinds of actors. Staff cannot have these names: a timeline shows both in one column."""

    SERVICE = "service", "service"
    CLIENT = "client", "client"
    STAFF = "staff", "staff"


def kind_of_actor(actor: str) -> ActorKind:
    """Return the kind of the actor with this name; only staff have names."""
    return ActorKind.STAFF if actor else ActorKind.SERVICE


# The time is taken after the row is locked, not when the statement started to wait for the lock, so
# that the events of a task are in the order of their times.
_CHANGE: Final = """
    WITH before AS (
        SELECT id, {column} AS value FROM tasks
        WHERE id = ANY(%(ids)s) AND status = ANY(%(sources)s) AND {column} <> %(wanted)s
        ORDER BY id
        FOR NO KEY UPDATE
    ), changed AS (
        UPDATE tasks SET {column} = %(wanted)s, updated_at = clock_timestamp()
        FROM before WHERE tasks.id = before.id
        RETURNING tasks.id, before.value, updated_at
    ), counted AS (
        INSERT INTO {counts}
        SELECT %(counter)s, ARRAY[%(wanted)s::text], %(part)s, count(*) FROM changed
        WHERE %(kind)s::text = 'status' HAVING count(*) > 0
        {add}
    )
    INSERT INTO task_events (task_id, kind, actor, actor_kind, reason, data, created_at)
    SELECT id, %(kind)s, %(actor)s, %(actor_kind)s, %(reason)s,
        jsonb_build_object('from', value, 'to', %(wanted)s::text), updated_at
    FROM changed
    RETURNING task_id
"""


def change(
    kind: EventKind,
    wanted: str,
    *,
    task_ids: Collection[UUID],
    sources: Collection[str],
    actor: str,
    reason: str,
    acted: ActorKind | None = None,
) -> set[UUID]:
    """Set the column that `kind` names, for the tasks whose status is one of `sources`.

    Args:
        acted: the kind of the actor; None for the kind that has such a name.

    Returns:
        The ids of the changed tasks. A task that already had the wanted value is not one of them.
    """
    parameters: dict[str, Any] = {
        "ids": [*task_ids],
        "sources": [*map(str, sources)],
        "wanted": str(wanted),
        "kind": kind.value,
        "actor": actor,
        "actor_kind": (acted or kind_of_actor(actor)).value,
        "reason": reason,
        "counter": counting.TASKS,
        "part": counting.part(),
    }
    statement = _CHANGE.format(column=kind.value, counts=counting.COLUMNS, add=counting.ADD)
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {task_id for (task_id,) in cursor.fetchall()}
