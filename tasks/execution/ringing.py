"""Ringing bells in the transaction of what makes them ring."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.execution import bells

_ACTION: Final = bells.ring_actions("SELECT id FROM task_actions WHERE id = %(id)s")
_CHECK: Final = bells.ring_checks("SELECT %(arm)s::text AS name")


def ring_tasks(task_ids: Collection[UUID]) -> None:
    """Ring pending tasks that have no open run."""
    _ring(bells.RING_TASKS, {"ids": [*task_ids]}, task_ids)


def rank_again(task_ids: Collection[UUID]) -> None:
    """Give waiting jobs and unfinished steps the place that the priority of their task has now."""
    _ring(bells.RANK_AGAIN, {"ids": [*task_ids]}, task_ids)


def ring_action(action_id: UUID) -> None:
    _ring(_ACTION, {"id": action_id}, [action_id])


def ring_check(arm: str) -> None:
    """Let a worker ask this arm for its health soon."""
    _ring(_CHECK, {"arm": arm}, [arm])


def _ring(statement: str, parameters: dict[str, Any], ids: Collection[UUID | str]) -> None:
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
