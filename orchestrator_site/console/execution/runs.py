"""The runs of a task, with their steps, attempts and calls, as its page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from orchestrator_site.console.execution.waiting import in_words
from orchestrator_site.console.formats import dollars, label
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Attempt, Budget, Call, Run, Step, Task
from tasks.states import StepState

MAX_RUNS: Final = 10
# Of each step; a step that waits for an arm again and again may have any number.
MAX_ROWS: Final = 50


@dataclass(frozen=True)
class Rows:
    """The newest attempts or calls of a step, the oldest of them first."""

    shown: tuple[Any, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class ShownStep:
    step: Step
    label: str
    now: str
    attempts: Rows
    calls: Rows


@dataclass(frozen=True)
class ShownRun:
    """A run.

    Attributes:
        failure: the sentence of its failure code; empty if it did not fail.
        budget: None if something else than a worker made the run.
        dollars: what is spent of how much, and what is reserved.
    """

    run: Run
    failure: str
    budget: Budget | None
    dollars: str
    steps: tuple[ShownStep, ...]


@dataclass(frozen=True)
class ShownRuns:
    """The newest runs of a task, the newest first."""

    shown: tuple[ShownRun, ...]
    left_out: int

    @property
    def last_failure(self) -> ShownRun | None:
        """The newest run, if it failed."""
        return self.shown[0] if self.shown and self.shown[0].failure else None

    @property
    def now(self) -> str:
        """What becomes of the unfinished step of the newest run; empty if there is none."""
        steps = self.shown[0].steps if self.shown else ()
        return next((step.now for step in steps if step.step.ended_at is None), "")

    @property
    def have_calls(self) -> bool:
        return any(step.calls.shown for run in self.shown for step in run.steps)


def runs_of(task: Task) -> ShownRuns:
    """Return the runs of a task with four statements, or with one if there are none."""
    found: QuerySet[Run] = Run.objects.filter(task=task)
    runs = list(found.select_related("budget").order_by("-number")[:MAX_RUNS])
    if not runs:
        return ShownRuns((), 0)
    steps = list(Step.objects.filter(run__in=runs).order_by("revision", "number"))
    attempts = _newest(Attempt.objects.filter(step__in=steps).select_related("worker"))
    calls = _with_dollars(_newest(Call.objects.filter(step__in=steps)))
    return ShownRuns(
        tuple(
            ShownRun(
                run,
                failure_in_words(run),
                budget,
                "" if budget is None else _dollars(budget),
                tuple(
                    ShownStep(
                        step,
                        label(StepState(step.state)),
                        in_words(step),
                        attempts.get(step.pk, Rows()),
                        calls.get(step.pk, Rows()),
                    )
                    for step in steps
                    if step.run_id == run.pk
                ),
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


def _newest(rows: QuerySet) -> dict[Any, Rows]:
    """Return the newest rows of each step, by its id."""
    newest: Iterable[Any] = (
        rows.annotate(
            place=Window(RowNumber(), partition_by=F("step"), order_by=F("number").desc()),
            all_rows=Window(Count("pk"), partition_by=F("step")),
        )
        .filter(place__lte=MAX_ROWS)
        # By `step`, Django would order by the numbers of the steps.
        .order_by("step_id", "number")
    )
    found = {}
    for step_id, group in groupby(newest, key=lambda row: row.step_id):
        shown = tuple(group)
        for row in shown:
            row.seconds = _seconds(row.started_at, row.ended_at)
        found[step_id] = Rows(shown, shown[0].all_rows - len(shown))
    return found


def _with_dollars(calls: dict[Any, Rows]) -> dict[Any, Rows]:
    for rows in calls.values():
        for call in rows.shown:
            is_open = call.cost_usd is None
            usd = call.reserved_usd if is_open else call.cost_usd
            call.dollars = f"{dollars(usd)} reserved" if is_open else dollars(usd)
    return calls


def _dollars(budget: Budget) -> str:
    estimated = " (estimated)" if budget.is_estimated else ""
    reserved = f", {dollars(budget.reserved_usd)} reserved" if budget.reserved_usd else ""
    most = dollars(budget.max_cost_usd or Decimal(0))
    return f"{dollars(budget.spent_usd)} of {most} spent{estimated}{reserved}"


def _seconds(started_at: datetime, ended_at: datetime | None) -> str:
    return "" if ended_at is None else f"{(ended_at - started_at).total_seconds():.2f} s"
