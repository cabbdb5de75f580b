"""What happens to a demonstration task without a plan, from its submission until now."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import log
from random import Random
from typing import Any, Final, NamedTuple

from django.db.models import Model

from orchestrator_site.development.demo import receipts, texts
from orchestrator_site.development.demo.runs import FAILURES, Runs
from tasks.changes import ActorKind, EventKind, kind_of_actor
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import Judgement, by_rules, confidence, without_judge
from tasks.models import Event, Task, TaskResult
from tasks.states import Priority, Status

BUDGETS_USD: Final = (Decimal("0.25"), Decimal("1.0"), Decimal("1.0"), Decimal("7.5"))
# The probability of each event, at each opportunity.
CHANGES_PRIORITY: Final = 0.12
IS_CANCELLED: Final = 0.018
FAILS: Final = 0.12
IS_GIVEN_UP: Final = 0.25
HAS_CRITERIA: Final = 0.15
EARLIER_RESULTS: Final = (0, 0, 0, 0, 0, 1)
# Medians.
WAITS_SECONDS: Final = dict(zip(Priority, (7_200, 150, 30, 5), strict=True))
STAFF_SECONDS: Final = 2_400
# In the last hours more tasks arrive than the arms can carry out. They take this many times as
# long, so that some tasks are pending and some are processing now.
RUSH: Final = timedelta(hours=12)
RUSH_FACTORS: Final = (60, 12)


class Step(NamedTuple):
    """One change of a task, some seconds after the previous one."""

    after_seconds: float
    to: Status | Priority
    actor: str = ""
    reason: str = ""


class Life:
    """The history of a task, and the `rows` of it for the database."""

    def __init__(self, work: texts.Work, priority: Priority, at: datetime, random: Random) -> None:
        self._work = work
        self._random = random
        self._fill = texts.Words(random).fill
        context = self._fill(work.context)
        self._task = Task(
            goal=self._fill(random.choice(work.goals)),
            priority=priority,
            constraints=self._fill(random.sample(texts.CONSTRAINTS, random.randrange(3))),
            context=context,
            acceptance_criteria=self._criteria(),
            task_metadata=context,
            max_cost_usd=random.choice(BUDGETS_USD),
            created_at=at,
            updated_at=at,
        )
        receipt = receipts.of_task(self._task, random)
        self._task.verdict = receipt.verdict
        # The documents requeue the task of the story, so its outcome must be known.
        codes = (FailureCode.ARM_FAILED,) if work is texts.STORY else FAILURES
        self._runs = Runs(self._task, random, codes)
        self._rows: list[Model] = [self._task, receipt]
        self._answer: Any = None
        self._judgements: list[Judgement] = []

    @property
    def rows(self) -> list[Model]:
        return [*self._rows, *self._runs.rows]

    def _criteria(self) -> list[str]:
        """Return what the result has to meet; most tasks do not say."""
        if self._random.random() >= HAS_CRITERIA:
            return []
        count = self._random.randrange(1, len(texts.CRITERIA))
        criteria: list[str] = self._fill(self._random.sample(texts.CRITERIA, count))
        return criteria

    def by_chance(self, now: datetime) -> Iterator[Step]:
        """Yield the steps of the task in order; a step may depend on earlier ones."""
        task, chance = self._task, self._random.random
        longer_wait, longer_work = RUSH_FACTORS if now - task.created_at <= RUSH else (1, 1)
        while chance() < CHANGES_PRIORITY:
            others = [other for other in Priority if other != task.priority]
            yield self._by_staff(self._random.choice(others), texts.REPRIORITISED)
        while chance() >= IS_CANCELLED:
            seconds = self._around(WAITS_SECONDS[Priority(task.priority)] * longer_wait)
            yield Step(seconds, Status.PROCESSING)
            if chance() < IS_CANCELLED:
                break
            seconds = self._around(self._work.minutes * 60 * longer_work)
            # The only critical task that fails is the one that the pictures show.
            if chance() >= FAILS or task.priority == Priority.CRITICAL:
                yield Step(seconds, Status.COMPLETED)
                return
            reason = self._fill(self._random.choice(self._work.failures))
            yield Step(seconds, Status.FAILED, reason=reason)
            if chance() < IS_GIVEN_UP:
                return
            yield self._by_staff(Status.PENDING, texts.REQUEUED)
        yield self._by_staff(Status.CANCELLED, texts.CANCELLED)

    def pass_through(self, steps: Iterable[Step], now: datetime) -> None:
        """Apply the steps that come before `now`."""
        for step in steps:
            before_at, at = self._task.updated_at, self._task.updated_at + timedelta(0, step[0])
            if at > now:
                break
            self._apply(step, before_at, at)
        self._runs.stop(now)

    def _apply(self, step: Step, before_at: datetime, at: datetime) -> None:
        _, to, actor, reason = step
        if to is Status.COMPLETED:
            self._check(at)
        # The value of the kind is the name of the changed column.
        kind = EventKind.STATUS if isinstance(to, Status) else EventKind.PRIORITY
        self._rows.append(
            Event(
                task=self._task,
                kind=kind,
                actor=actor,
                actor_kind=kind_of_actor(actor),
                reason=reason,
                data={"from": getattr(self._task, kind), "to": to},
                created_at=at,
            )
        )
        setattr(self._task, kind, to)
        self._task.updated_at = at
        if to is Status.PROCESSING:
            self._task.assigned_arm = self._work.arm
            self._runs.begin(at, self._work.arm)
        elif to is Status.COMPLETED:
            self._add_results(before_at, at)
        elif isinstance(to, Status):
            self._runs.end(at, to)

    def _check(self, at: datetime) -> None:
        """Let rules check the result; no arm can judge what they leave open."""
        self._answer = self._fill(self._work.result)
        self._judgements = without_judge(by_rules(self._task.acceptance_criteria, self._answer))
        if self._judgements:
            met = sum(judgement.is_met for judgement in self._judgements)
            data = {"run": self._runs.number, "met": met, "criteria": len(self._judgements)}
            event = Event(
                task=self._task,
                kind=EventKind.CHECK,
                actor_kind=ActorKind.SERVICE,
                data=data,
                created_at=at,
            )
            self._rows.append(event)

    def _add_results(self, started_at: datetime, completed_at: datetime) -> None:
        """Add the result, and sometimes an earlier, partial one."""
        of_answer = round(self._random.betavariate(14, 2), 4)
        self._runs.complete(completed_at, self._answer, of_answer, self._judgements)
        whole = confidence([of_answer], self._judgements)
        earlier = self._random.choice(EARLIER_RESULTS)
        for share in (1.0, *(self._random.uniform(0.3, 0.95) for _ in range(earlier))):
            result = TaskResult(
                task=self._task,
                result_data=self._answer if share == 1.0 else self._fill(self._work.result),
                confidence=round(share * whole, 4),
                created_at=started_at + share * (completed_at - started_at),
            )
            self._rows.append(result)
        # Otherwise a trigger would set it, with one statement for each task.
        self._task.has_result = True

    def _by_staff(self, to: Status | Priority, reasons: Sequence[str]) -> Step:
        reason = self._fill(self._random.choice(reasons))
        return Step(self._around(STAFF_SECONDS), to, self._random.choice(texts.STAFF), reason)

    def _around(self, median: float) -> float:
        return self._random.lognormvariate(log(median), 0.9)
