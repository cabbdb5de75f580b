"""Tasks that workers of tests carry out until nothing rings, and what became of them."""

import socket
from typing import Any

from tasks.execution.runs.options import RunOptions, Undecided
from tasks.models import Run, Step, Task
from tests.arms import Behaviour, Received, ScriptedArm, works
from tests.factories import TaskFactory
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.rules_that_hold import ring

ASK = RunOptions(undecided=Undecided.ASK)
# A task with it is planned.
PLANNED = {"priority": "high"}
# No rule understands these.
POLITE, FUNNY = "The tone is polite", "A joke of the highest quality"


def by_action(**behaviours: Behaviour) -> Behaviour:
    """Behave by the last word of the goal: `by_action(_2=fails())`; all others succeed with it."""

    def behave(request: Received, connection: socket.socket) -> bool:
        word = contract(request)["goal"].rsplit(" ", 1)[-1]
        then = behaviours.get(f"_{word}", works(f"result of {word}"))
        return then(request, connection)

    return behave


def begun(**fields: Any) -> Task:
    """Return a new task whose bell rings."""
    task = TaskFactory(**fields)
    ring(task)
    return task


def carried_out(worker: Hand, **fields: Any) -> Task:
    """Return a new task, after the worker has done all that it could."""
    task = begun(**fields)
    worker.work_until_idle()
    return Task.objects.get(pk=task.pk)


def go_on(worker: Hand, task: Task, *, after_seconds: float = 30) -> Task:
    """Let time pass, and the worker do what has become possible."""
    advance(after_seconds)
    worker.housekeeping.tick()
    worker.work_until_idle()
    return Task.objects.get(pk=task.pk)


def failure(task: Task) -> str | None:
    """Return why the newest run of a task failed."""
    return Run.objects.filter(task=task).order_by("-number")[0].failure_code


def result(task: Task) -> Any:
    return task.results.get().result_data


def verdicts(task: Task) -> list[tuple[str, str | None]]:
    """Return the newest verdict on each criterion, and by whom it is."""
    stored = Run.objects.get(task=task).verdicts
    return [(one["verdict"], one["by"]) for one in stored]


def steps(*fields: str, **wanted: Any) -> list[Any]:
    """Return fields of the steps that there are, in their order."""
    return [*Step.objects.filter(**wanted).values_list(*fields, flat=len(fields) == 1)]


def asked_of(arm: ScriptedArm, path: str) -> list[Received]:
    """Return the requests of an arm for `plan`, `execute` or `validate`."""
    return [request for request in arm.work if request.path == f"/{path}"]


def contract(request: Received) -> dict[str, Any]:
    fields: dict[str, Any] = request.json["task_contract"]
    return fields
