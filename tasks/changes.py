"""Changes of tasks, each with its event, for one task and for many alike.

One statement looks at the tasks, changes those that may be changed and writes their events. Of
two that race for a task, the later one finds it changed and leaves it alone; both take the rows in
the order of their ids, and so neither waits for the other in a circle.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.events import EventKind, kind_of_actor

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
