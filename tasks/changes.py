"""Changes of tasks, each with its event, for one task and for many alike.

One statement looks at the tasks, changes those that may be changed and writes their events. Of
two that race for a task, the later one finds it changed and leaves it alone; both take the rows in
the order of their ids, and so neither waits for the other in a circle.
"""

import functools
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import connection, models, transaction
from prometheus_client import Counter

from tasks.states import Status

TASKS = Counter(
    "octollm_orchestrator_tasks_total",
    "Total number of tasks submitted, and of their later entries into each status",
    ["status"],
)


class EventKind(models.TextChoices):
    """What an event tells of; each is named after the column of the task that it changed."""

    STATUS = "status", "entered a status"
    PRIORITY = "priority", "got another priority"


class ActorKind(models.TextChoices):
    """The kinds of actors. Staff cannot have these names, since theirs stand in the same column."""

    SERVICE = "service", "service"
    CLIENT = "client", "client"
    STAFF = "staff", "staff"


def kind_of_actor(actor: str) -> ActorKind:
    """Return who acted by the name alone, which only staff have."""
    return ActorKind.STAFF if actor else ActorKind.SERVICE


# The time is taken when the row is held, not when the statement began to wait for it: so the events
# of a task have the order of their times.
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
) -> set[UUID]:
    """Set the column that `kind` names, of those tasks whose status is among `sources`.

    Returns:
        The ids of the tasks that were changed; one that had the wanted value was not.
    """
    parameters: dict[str, Any] = {
        "ids": [*task_ids],
        "sources": [*map(str, sources)],
        "wanted": str(wanted),
        "kind": kind.value,
        "actor": actor,
        "actor_kind": kind_of_actor(actor).value,
        "reason": reason,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHANGE.format(column=kind.value), parameters)
        return {task_id for (task_id,) in cursor.fetchall()}


def count_entry(status: Status, tasks: int = 1) -> None:
    """Count that so many tasks entered `status`, once it is committed."""
    transaction.on_commit(functools.partial(TASKS.labels(status.value).inc, tasks))


for status in Status:
    # Present from the first scrape.
    TASKS.labels(status.value)
