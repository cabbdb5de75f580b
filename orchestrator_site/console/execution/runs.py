"""The runs of a task, with their steps, attempts and calls, as its page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from orchestrator_site.console.execution.answers import answers_of
from orchestrator_site.console.execution.calls import attempts_at, calls_of
from orchestrator_site.console.execution.criteria import in_short
from orchestrator_site.console.execution.decided import of_decision
from orchestrator_site.console.execution.steps import Loaded, ShownStep, shown_steps
from orchestrator_site.console.execution.usage import UsageOfRole, usage_by_role
from orchestrator_site.console.formats import dollars
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Budget, Run, Step, Task, TaskResult
from tasks.states import StepRole, StepState, WaitsFor

MAX_RUNS: Final = 10


@dataclass(frozen=True)
class ShownRun:
    """A run.

    Attributes:
        failure: the sentence of its failure code; empty if it did not fail.
        criteria: how many are met; empty before the first check.
        budget: None if something else than a worker made the run.
        dollars: what is spent of how much, and what is reserved.
    """

    run: Run
    failure: str
    criteria: str
    budget: Budget | None
    dollars: str
    steps: tuple[ShownStep, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing but the task as one step."""
        return len(self.steps) <= 1 and all(step.role is StepRole.EXECUTE for step in self.steps)

    @property
    def revisions(self) -> list[tuple[int, list[ShownStep]]]:
        """The number of each revision of the plan, with its steps."""
        groups = groupby(self.steps, key=lambda shown: shown.step.revision)
        return [(revision, list(steps)) for revision, steps in groups]

    @property
    def usage(self) -> tuple[UsageOfRole, ...]:
        return usage_by_role((shown.role, shown.calls.usage) for shown in self.steps)

    def has_begun_by(self, moment: datetime) -> bool:
        return self.run.started_at is not None and self.run.started_at <= moment

    @property
    def is_result_flagged(self) -> bool:
        """Whether its result is a flagged answer, or was made from one."""
        done = [shown for shown in self.steps if shown.step.state == StepState.DONE]
        repairs = [shown for shown in done if shown.role is StepRole.REPAIR]
        # Each repair replaces the result. What other steps needed is given to those that made it.
        steps = [shown for shown in done if shown.role is StepRole.EXECUTE]
        return any(shown.is_suspect for shown in repairs[-1:] or steps)

    @property
    def now(self) -> str:
        """What becomes of the unfinished steps; empty if there is none."""
        unfinished = [step for step in self.steps if step.is_open]
        if len(unfinished) == 1:
            [step] = unfinished
            is_clear = self.is_plain or step.role is StepRole.DECIDE
            return step.now if is_clear else f"{step.name}: {step.now}"
        return _progress(self.revisions[-1][1]) if unfinished else ""


@dataclass(frozen=True)
class ShownRuns:
    """The newest runs of a task, the newest first."""

    shown: tuple[ShownRun, ...]
    left_out: int

    @property
    def newest(self) -> ShownRun | None:
        return self.shown[0] if self.shown else None

    @property
    def last_failure(self) -> ShownRun | None:
        """The newest run, if it failed."""
        return self.newest if self.newest and self.newest.failure else None

    @property
    def now(self) -> str:
        """What becomes of the unfinished steps of the newest run; empty if there is none."""
        return self.newest.now if self.newest else ""

    @property
    def decision_id(self) -> UUID | None:
        """The step that waits for a decision of staff; None if there is none."""
        steps = self.newest.steps if self.newest else ()
        waiting = (one.step for one in steps if one.step.waits_for == WaitsFor.DECISION)
        return next((step.pk for step in waiting), None)

    def made_flagged(self, result: TaskResult) -> bool:
        """Return whether a result of the task was made from a flagged answer."""
        # One run begins after the other has ended.
        run = next((one for one in self.shown if one.has_begun_by(result.created_at)), None)
        return run is not None and run.is_result_flagged

    @property
    def have_calls(self) -> bool:
        return any(step.calls.shown for run in self.shown for step in run.steps)


def runs_of(task: Task, *, with_texts: bool) -> ShownRuns:
    """Return the runs of a task with five statements at most, or with one if there are none.

    Args:
        with_texts: whether to show what arms wrote.
    """
    found: QuerySet[Run] = Run.objects.filter(task=task)
    runs = list(found.select_related("budget").order_by("-number")[:MAX_RUNS])
    if not runs:
        return ShownRuns((), 0)
    steps = _steps_of(runs)
    loaded = Loaded(
        attempts_at(steps), calls_of(steps), answers_of(_brought(steps)) if with_texts else None
    )
    return ShownRuns(
        tuple(
            ShownRun(
                run,
                failure_in_words(run),
                in_short(run),
                budget,
                "" if budget is None else _dollars(budget),
                shown_steps(run, [step for step in steps if step.run_id == run.pk], loaded),
            )
            for run in runs
            # Django raises an exception where there is none.
            for budget in [getattr(run, "budget", None)]
        ),
        # Runs are numbered without gaps.
        left_out=runs[-1].number - 1,
    )


def failure_in_words(run: Run) -> str:
    if run.failure_code is None:
        return ""
    return run.failure_detail or SENTENCES[FailureCode(run.failure_code)]


def _steps_of(runs: Sequence[Run]) -> list[Any]:
    """Return all steps of these runs, without requests, and of the answers only decisions."""
    steps = Step.objects.filter(run__in=runs).defer("request", "answer")
    return list(
        steps.annotate(
            outcome=of_decision("outcome"),
            decided_because=of_decision("reason"),
            has_answer=ExpressionWrapper(Q(answer__isnull=False), BooleanField()),
        ).order_by("revision", "number")
    )


def _brought(steps: Sequence[Any]) -> list[Step]:
    """Return the steps whose answers are shown; decisions are shown in words."""
    return [step for step in steps if step.has_answer and step.role != StepRole.DECIDE]


def _progress(steps: Sequence[ShownStep]) -> str:
    """Return how far the steps of the newest plan are."""
    states = [StepState(step.step.state) for step in steps if step.role is StepRole.EXECUTE]
    running = states.count(StepState.RUNNING)
    waiting = states.count(StepState.WAITING) + states.count(StepState.READY)
    parts = [
        f"{states.count(StepState.DONE)} of {len(states)} steps are done",
        f"{running} {'is' if running == 1 else 'are'} being carried out",
        f"{waiting} {'waits' if waiting == 1 else 'wait'}",
    ]
    return ", ".join(parts)


def _dollars(budget: Budget) -> str:
    estimated = " (estimated)" if budget.is_estimated else ""
    reserved = f", {dollars(budget.reserved_usd)} reserved" if budget.reserved_usd else ""
    most = dollars(budget.max_cost_usd or Decimal(0))
    return f"{dollars(budget.spent_usd)} of {most} spent{estimated}{reserved}"
