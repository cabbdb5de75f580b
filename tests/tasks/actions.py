"""Helpers that make tasks and bulk actions on them."""

import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils import timezone

from tasks import bulk
from tasks.bulk import choose
from tasks.changes import EventKind, change
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Action, Run, Step, Task
from tasks.models.action import CANCEL, Verb
from tasks.states import Status, sources
from tests.factories import TaskFactory


def tasks(*statuses: str, **fields: Any) -> list[uuid.UUID]:
    return [TaskFactory(status=status, **fields).pk for status in statuses]


def confirmed(task_ids: list[uuid.UUID], verb: Verb = CANCEL) -> Action:
    action = choose(task_ids, verb, actor="ada")
    action.confirm("the client asked for it")
    return action


def proceed(action: Action) -> None:
    """Do all of a confirmed action, as a worker would."""
    bulk.proceed(action.pk, seconds=60)
    action.refresh_from_db()


def start(*changed: Task) -> None:
    """Let tasks be processed, as workers do."""
    _enter(Status.PROCESSING, changed)


def fail(*changed: Task, reason: str = "") -> None:
    """Let tasks fail; workers of today give no reason, but old events have some."""
    _enter(Status.FAILED, changed, reason)


def _enter(status: Status, changed: tuple[Task, ...], reason: str = "") -> None:
    ids = [task.pk for task in changed]
    by_nobody = {"actor": "", "reason": reason}
    change(EventKind.STATUS, status, task_ids=ids, sources=sources(status), **by_nobody)
    for task in changed:
        task.refresh_from_db()


def waiting(*, waits_for: str | None = None, **fields: Any) -> Step:
    """Return the only step of a new task, which waits for something or until a time."""
    task = TaskFactory(status=fields.pop("status", "pending"))
    return Step.objects.create(
        run=Run.objects.create(task=task, number=1),
        task=task,
        capability="execute",
        rank=0,
        waits_for=waits_for,
        parked_at=timezone.now() if waits_for else None,
        **fields,
    )


def failed_with(code: FailureCode, **fields: Any) -> Task:
    """Return a new task whose only run failed with this code."""
    task: Task = TaskFactory(failed=True, **fields)
    Run.objects.create(
        task=task,
        number=1,
        failure_code=code,
        failure_detail=SENTENCES[code],
        ended_at=timezone.now(),
    )
    return task


def progress(action: Action) -> tuple[int, int, bool]:
    action.refresh_from_db()
    return action.position, action.changed, action.is_ended


def call_and_disconnect(act: Callable[[], Any]) -> Any:
    """Call `act` in a thread, then close the database connection of this thread."""
    try:
        return act()
    finally:
        connection.close()
