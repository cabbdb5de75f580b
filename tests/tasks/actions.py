"""Helpers that make tasks and bulk actions on them."""

import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection

from tasks.bulk import choose
from tasks.models import Action
from tasks.models.action import CANCEL, Verb
from tests.factories import TaskFactory


def tasks(*statuses: str, **fields: Any) -> list[uuid.UUID]:
    return [TaskFactory(status=status, **fields).pk for status in statuses]


def confirmed(task_ids: list[uuid.UUID], verb: Verb = CANCEL) -> Action:
    action = choose(task_ids, verb, actor="ada")
    action.confirm("the client asked for it")
    return action


def progress(action: Action) -> tuple[int, int, bool]:
    action.refresh_from_db()
    return action.position, action.changed, action.is_ended


def call_and_disconnect(act: Callable[[], Any]) -> Any:
    """Call `act` in a thread, then close the database connection of this thread."""
    try:
        return act()
    finally:
        connection.close()
