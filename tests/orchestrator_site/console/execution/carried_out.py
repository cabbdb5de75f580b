"""Arms, and tasks that workers have looked at, as their rows would be."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.utils import timezone

from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Arm, Attempt, Budget, Call, Run, Step, Task, Worker
from tests.factories import TaskFactory
from tests.orchestrator_site.console.tasks.console_actions import start_worker


def make_arm(name: str = "helper", **fields: Any) -> Arm:
    values = {"protocol": "octollm", "capabilities": ["execute"], "url": "http://helper:8003"}
    arm: Arm = Arm.objects.create(name=name, **values | fields)
    return arm


def an_arm(name: str = "helper") -> Arm:
    """Return the arm with this name, which may exist already."""
    return Arm.objects.filter(pk=name).first() or make_arm(name)


def carried_out(
    failure: FailureCode | None = None, *, task: Task | None = None, number: int = 1
) -> Task:
    """Return a task with a run of one call, which succeeded or failed."""
    task = task or TaskFactory(completed=failure is None, failed=failure is not None)
    now = timezone.now()
    run = Run.objects.create(
        task=task,
        number=number,
        started_at=now - timedelta(seconds=5),
        ends_at=now + timedelta(minutes=10),
        ended_at=now,
        failure_code=failure,
        failure_detail=SENTENCES[failure] if failure else "",
    )
    Budget.objects.create(
        run=run,
        max_tokens=10_000,
        max_cost_usd=Decimal("1"),
        spent_tokens=1_234,
        spent_usd=Decimal("0.0125"),
        spent_seconds=2.5,
        is_estimated=failure is not None,
    )
    state = "done" if failure is None else "failed"
    step = step_of(run, state=state, arm=an_arm(), ended_at=now)
    outcome = "done" if failure is None else "failed"
    started_at = now - timedelta(seconds=3)
    attempt = attempt_at(step, started_at=started_at, ended_at=now, outcome=outcome)
    call_of(attempt, outcome="succeeded" if failure is None else "failed", detail="it broke")
    return task


def step_of(run: Run, **fields: Any) -> Step:
    values = {"task": run.task, "capability": "execute", "rank": 0}
    step: Step = Step.objects.create(id=uuid4(), run=run, **values | fields)
    return step


def attempt_at(step: Step, *, worker: Worker | None = None, **fields: Any) -> Attempt:
    now = timezone.now()
    values = {
        "number": 1,
        "started_at": now - timedelta(seconds=3),
        "lease_until": now + timedelta(seconds=17),
    }
    attempt: Attempt = Attempt.objects.create(
        step=step, worker=worker or start_worker(), **values | fields
    )
    return attempt


def call_of(attempt: Attempt, *, outcome: str | None = "succeeded", **fields: Any) -> Call:
    """Return a call of 2.5 seconds; without an outcome it goes on."""
    ended_at = timezone.now()
    values: dict[str, Any] = {
        "step": attempt.step,
        "number": 1,
        "arm": attempt.step.arm,
        "request_digest": b"",
        "started_at": ended_at - timedelta(seconds=2.5),
        "reserved_tokens": 5_000,
        "reserved_usd": Decimal("0.5"),
        "outcome": outcome,
    }
    if outcome:
        values |= {"ended_at": ended_at, "tokens": 1_234, "cost_usd": Decimal("0.0125")}
    call: Call = Call.objects.create(attempt=attempt, **values | fields)
    return call
