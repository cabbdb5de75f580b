"""Tasks in the middle of their lives, without a worker that brings them there."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from tasks.changes import EventKind, change
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Attempt, Budget, Call, Run, Step, Task
from tasks.states import Status, sources

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def enter(task: Task, status: Status, *, reason: str = "") -> None:
    """Let a task enter a status, with the event and the count that a worker writes."""
    changed = change(
        EventKind.STATUS,
        status,
        task_ids=[task.pk],
        sources=sources(status),
        actor="",
        reason=reason,
    )
    assert changed == {task.pk}
    task.refresh_from_db(fields=["status", "updated_at"])


def run_of(task: Task, *, number: int = 1, **budget: Any) -> Run:
    """Return a new run of a task, which goes on; `budget` is what it has spent."""
    run = Run.objects.create(task=task, number=number)
    limits = {"max_tokens": task.max_tokens, "max_cost_usd": task.max_cost_usd}
    Budget.objects.create(run=run, **limits | budget)
    return run


def end(run: Run, failure: FailureCode | None = None) -> None:
    """End a run, and its task in the status that follows."""
    run.ended_at = NOON
    run.failure_code = failure
    run.failure_detail = SENTENCES[failure] if failure else ""
    run.save()
    status = Status.FAILED if failure else Status.COMPLETED
    Task.objects.filter(pk=run.task_id).update(status=status)


def step_of(run: Run, **fields: Any) -> Step:
    """Return the only step of a run; it is ready and waits for nothing."""
    if fields.get("waits_for"):
        fields = {"parked_at": NOON} | fields
    values = {"task_id": run.task_id, "capability": "execute", "rank": 0} | fields
    return Step.objects.create(run=run, **values)


def attempt_at(step: Step, *, number: int = 1, **fields: Any) -> Attempt:
    """Return an attempt of a worker at a step, which goes on."""
    values = {"worker_id": uuid4(), "started_at": NOON, "lease_until": NOON} | fields
    return Attempt.objects.create(step=step, number=number, **values)


def call_of(attempt: Attempt, *, number: int = 1, **fields: Any) -> Call:
    """Return a call of an attempt, which goes on and has reserved 100 tokens and a dollar."""
    values = {
        "step_id": attempt.step_id,
        "arm_id": "helper",
        "request_digest": b"",
        "reserved_tokens": 100,
        "reserved_usd": Decimal(1),
    }
    return Call.objects.create(attempt=attempt, number=number, **values | fields)


def processing(task: Task, *, client_id: UUID | None = None) -> Call:
    """Let a worker wait for an arm that carries out the only step of a task; return the call."""
    Task.objects.filter(pk=task.pk).update(status=Status.PROCESSING)
    run = run_of(task, reserved_tokens=100, reserved_usd=1)
    return call_of(attempt_at(step_of(run, state="running", arm_id="helper", request=b"{}")))
