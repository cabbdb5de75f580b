"""The runs of a demonstration task without a plan: each has one step with one call.

The arms are disabled and have no address that anybody answers, and no worker touches these tasks:
what is unfinished is parked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final
from uuid import UUID

from django.db.models import Model

from orchestrator_site import VERSION
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.execution.runs.criteria import Judgement
from tasks.execution.runs.keys import FIRST_REVISION, FIRST_STEP, step_id
from tasks.models import Arm, Attempt, Budget, Call, Run, Step, Task, Worker
from tasks.states import Status, StepState, TaskVerdict, WaitsFor

USD_PER_TOKEN: Final = Decimal("0.000004")
TOKENS: Final = range(300, 9_000)
FAILURES: Final = (
    *[FailureCode.ARM_FAILED] * 6,
    FailureCode.TIMED_OUT,
    FailureCode.OUTCOME_UNKNOWN,
    FailureCode.OUTPUT_REFUSED,
)
# All others only execute.
CAPABILITIES: Final = {"planner": ["execute", "plan"], "judge": ["validate"]}
MACHINES: Final = ("worker-1", "worker-2")
# So that `make demo` adds to the same workers when it runs again.
WORKER_IDS: Final = [UUID(int=number) for number in range(1, len(MACHINES) + 1)]


def make_surroundings(names: set[str], now: datetime) -> None:
    """Store the arms and workers that demonstration tasks name, unless they are there."""
    for name in sorted(names | CAPABILITIES.keys()):
        Arm.objects.get_or_create(
            name=name,
            defaults={
                "protocol": "octollm",
                "url": f"http://{name}.example:8000",
                "capabilities": CAPABILITIES.get(name, ["execute"]),
                "is_enabled": False,
            },
        )
    for machine, worker_id in zip(MACHINES, WORKER_IDS, strict=True):
        values = {"machine": machine, "process": 1, "version": VERSION, "concurrency": 8}
        Worker.objects.get_or_create(
            pk=worker_id,
            defaults={**values, "started_at": now - timedelta(days=30), "ended_at": now},
        )


class Runs:
    """The runs of one task, as `rows` for the database.

    Attributes:
        number: of the newest one.
    """

    def __init__(
        self, task: Task, random: Random, failures: Sequence[FailureCode] = FAILURES
    ) -> None:
        self._task = task
        self._random = random
        self._failures = failures
        self.number = 0
        self.rows: list[Model] = []

    def begin(self, at: datetime, arm: str) -> None:
        """Begin a run with its only call."""
        self._make_run(at, arm)
        ends_at = at + timedelta(seconds=self._task.max_time_seconds)
        self._run.started_at, self._run.ends_at = at, ends_at
        self._step.state, self._step.arm_id, self._step.tries = StepState.RUNNING, arm, 1
        self._attempt = Attempt(
            step=self._step,
            number=1,
            worker_id=self._random.choice(WORKER_IDS),
            started_at=at,
            lease_until=at,
        )
        self._call = Call(
            attempt=self._attempt,
            step=self._step,
            number=1,
            arm_id=arm,
            request_digest=self._random.randbytes(32),
            started_at=at,
            reserved_tokens=self._task.max_tokens,
            reserved_usd=self._task.max_cost_usd,
        )
        self.rows += [self._attempt, self._call]

    def complete(
        self, at: datetime, answer: Any, confidence: float, judgements: Sequence[Judgement]
    ) -> None:
        """End the run that goes on; an answer whose criteria were checked is kept with them."""
        self._step.verdict, self._step.confidence = TaskVerdict.SAFE, confidence
        if judgements:
            self._step.answer = answer
            self._run.verdicts = [judgement.stored for judgement in judgements]
        self.end(at, Status.COMPLETED)

    def end(self, at: datetime, status: Status) -> None:
        """End the run that goes on, with the status that the task enters."""
        if not self.number or self._run.ended_at is not None:
            return
        code = self._random.choice(self._failures) if status is Status.FAILED else None
        self._end_call(at, _call_outcome(status, code), _attempt_outcome(status))
        self._step.state, self._step.ended_at = _step_state(status), at
        self._step.failure_code = code
        self._run.ended_at, self._run.failure_code = at, code
        self._run.failure_detail = SENTENCES[code] if code else ""

    def stop(self, now: datetime) -> None:
        """Park what is unfinished."""
        if self._task.status == Status.PENDING:
            self._make_run(self._task.updated_at, "")
            self._park(WaitsFor.RELEASE, "", now)
        elif self._task.status == Status.PROCESSING:
            self._end_call(now, CallOutcome.REFUSED, AttemptOutcome.PARKED)
            self._park(WaitsFor.ARM, self._call.arm_id, now)

    def _make_run(self, at: datetime, arm: str) -> None:
        self.number += 1
        self._run = Run(task=self._task, number=self.number, created_at=at)
        self._budget = Budget(
            run=self._run,
            max_tokens=self._task.max_tokens,
            max_cost_usd=self._task.max_cost_usd,
        )
        self._step = Step(
            pk=step_id(self._task.pk, run=self.number, revision=FIRST_REVISION, step=FIRST_STEP),
            run=self._run,
            task=self._task,
            capability="execute",
            rank=0,
            created_at=at,
        )
        self.rows += [self._run, self._budget, self._step]

    def _end_call(self, at: datetime, call: CallOutcome, attempt: AttemptOutcome) -> None:
        tokens = 0 if call is CallOutcome.REFUSED else self._random.choice(TOKENS)
        self._call.ended_at, self._call.outcome = at, call
        self._call.tokens, self._call.cost_usd = tokens, tokens * USD_PER_TOKEN
        self._call.is_estimated = call is CallOutcome.UNKNOWN
        self._attempt.ended_at, self._attempt.outcome = at, attempt
        self._budget.spent_tokens, self._budget.spent_usd = tokens, tokens * USD_PER_TOKEN
        self._budget.spent_seconds = (at - self._call.started_at).total_seconds()
        self._budget.is_estimated = self._call.is_estimated

    def _park(self, waits_for: WaitsFor, arm: str, now: datetime) -> None:
        self._step.state, self._step.waits_for = StepState.READY, waits_for
        self._step.waits_at, self._step.parked_at = arm, now
        # Before the first claim, there is no time that could stand still.
        self._run.parked_at = now if self._run.started_at else None


def _call_outcome(status: Status, code: FailureCode | None) -> CallOutcome:
    if code is FailureCode.ARM_FAILED:
        return CallOutcome.FAILED
    is_known = status is Status.COMPLETED or code is FailureCode.OUTPUT_REFUSED
    return CallOutcome.SUCCEEDED if is_known else CallOutcome.UNKNOWN


def _attempt_outcome(status: Status) -> AttemptOutcome:
    return {
        Status.COMPLETED: AttemptOutcome.DONE,
        Status.FAILED: AttemptOutcome.FAILED,
    }.get(status, AttemptOutcome.CANCELLED)


def _step_state(status: Status) -> StepState:
    return {
        Status.COMPLETED: StepState.DONE,
        Status.FAILED: StepState.FAILED,
    }.get(status, StepState.CANCELLED)
