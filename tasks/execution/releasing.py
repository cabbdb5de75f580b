"""What staff do to steps that wait: release them, or try them again at once."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.changes import ActorKind, EventKind
from tasks.execution import bells

# The tasks are locked first, as everywhere, in the order of their ids.
_CHANGE: Final = f"""
    WITH waiting AS (
        SELECT tasks.id AS task_id, steps.id AS step_id FROM tasks
        JOIN steps ON steps.task_id = tasks.id
        WHERE tasks.id = ANY(%(ids)s) AND state = 'ready' AND {{condition}}
        ORDER BY tasks.id FOR NO KEY UPDATE OF tasks, steps
    ), freed AS (
        UPDATE steps SET waits_for = NULL, waits_at = '', parked_at = NULL, wake_at = NULL
        FROM waiting WHERE steps.id = step_id RETURNING steps.id, steps.task_id, rank
    ), rung AS ({bells.ring_steps("SELECT id, rank FROM freed")})
    INSERT INTO task_events (task_id, kind, actor, actor_kind, reason, created_at)
    SELECT task_id, %(kind)s, %(actor)s, '{ActorKind.STAFF.value}', %(reason)s, clock_timestamp()
    FROM freed
    RETURNING task_id
"""
_RELEASE: Final = _CHANGE.format(condition="waits_for = 'release'")
_RETRY: Final = _CHANGE.format(condition="wake_at IS NOT NULL")


def release(task_ids: Collection[UUID], *, actor: str, reason: str) -> set[UUID]:
    """Let tasks begin that wait for their release; return the ids of those that were released."""
    return _do(_RELEASE, EventKind.RELEASE, task_ids, actor, reason)


def retry_now(task_ids: Collection[UUID], *, actor: str, reason: str) -> set[UUID]:
    """Try tasks again at once that wait for the time of their next call; return their ids."""
    return _do(_RETRY, EventKind.RETRY, task_ids, actor, reason)


def _do(
    statement: str, kind: EventKind, task_ids: Collection[UUID], actor: str, reason: str
) -> set[UUID]:
    parameters: dict[str, Any] = {
        "ids": [*task_ids],
        "kind": kind.value,
        "actor": actor,
        "reason": reason,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {task_id for (task_id,) in cursor.fetchall()}
