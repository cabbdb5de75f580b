"""How a demonstration task lives, from its submission up to now."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import log
from random import Random
from typing import Final, NamedTuple
from uuid import uuid4

from orchestrator_site.development.demo import screenings
from orchestrator_site.development.demo.arrivals import RUSH
from orchestrator_site.development.demo.rows import EventRow, ResultRow, Rows, TaskRow
from orchestrator_site.development.demo.texts import (
    CANCELLED,
    CHOICES,
    CONSTRAINTS,
    CONTEXT,
    CRITERIA,
    REPRIORITISED,
    REQUEUED,
    STAFF,
    Work,
)
from orchestrator_site.development.demo.words import Words
from tasks.changes import EventKind, kind_of_actor
from tasks.states import Priority, Status

PRIORITY_SHARES: Final = {
    Priority.LOW: 20,
    Priority.MEDIUM: 52,
    Priority.HIGH: 22,
    Priority.CRITICAL: 6,
}
# Dollars, seconds and tokens; most clients leave them to the defaults, which come first.
BUDGETS: Final = (
    (Decimal("1.0"), 600, 10_000),
    (Decimal("1.0"), 600, 10_000),
    (Decimal("0.25"), 120, 2_000),
    (Decimal("7.5"), 3_600, 60_000),
    (Decimal("40.0"), 21_600, 400_000),
)

# How often something happens to a task, each time that it may.
REPRIORITISES: Final = 0.28
CANCELLED_WAITING: Final = 0.02
CANCELLED_IN_WORK: Final = 0.015
FAILS: Final = 0.26
GIVEN_UP: Final = 0.1
GIVES_ANOTHER_RESULT: Final = 0.22

# Medians.
WAITS_SECONDS: Final = {
    Priority.LOW: 7_200,
    Priority.MEDIUM: 150,
    Priority.HIGH: 30,
    Priority.CRITICAL: 5,
}
STAFF_SECONDS: Final = 2_400

# In the rush everything takes so many times as long.
RUSH_WAIT: Final = 60
RUSH_WORK: Final = 12


class Step(NamedTuple):
    """One thing that happens to a task, so many seconds after the last one.

    Attributes:
        actor, reason: as in `tasks.models.event.Event`.
    """

    after_seconds: float
    to: Status | Priority
    actor: str = ""
    reason: str = ""


class Life:
    """A task that was submitted at some time, and what happens to it until `now`.

    Attributes:
        words: that all its texts have in common.
    """

    def __init__(self, work: Work, at: datetime, now: datetime, random: Random) -> None:
        self._work = work
        self._at = at
        self._now = now
        self._random = random
        self._id = uuid4()
        self.words = Words(random, CHOICES)

    def by_chance(self) -> Rows:
        goal = self._random.choice(self._work.goals)
        priority = self._random.choices([*PRIORITY_SHARES], [*PRIORITY_SHARES.values()])[0]
        return self.told(goal, priority, self._steps(priority))

    def told(self, goal: str, priority: Priority, steps: Iterable[Step]) -> Rows:
        """Return the rows of a task with this template of a goal, to which this happens."""
        events, status, priority = self._happened(priority, steps)
        goal = self.words.fill(goal)
        receipt = screenings.accepted(self._random, self._id, self._at, goal)
        context = self.words.fill(self._work.context | CONTEXT)
        cost, seconds, tokens = self._random.choice(BUDGETS)
        is_started = any(event.data["to"] == Status.PROCESSING for event in events)
        results = self._results(events) if status is Status.COMPLETED else []
        task = TaskRow(
            id=self._id,
            goal=goal,
            status=status.value,
            priority=priority.value,
            constraints=self._some(CONSTRAINTS),
            context=context,
            acceptance_criteria=self._some(CRITERIA),
            task_metadata=context,
            assigned_arm=self._work.arm if is_started else None,
            max_cost_usd=cost,
            max_time_seconds=seconds,
            max_tokens=tokens,
            verdict=receipt.verdict,
            has_result=bool(results),
            created_at=self._at,
            updated_at=events[-1].created_at if events else self._at,
        )
        return Rows([task], [receipt], events, results)

    def _steps(self, priority: Priority) -> Iterator[Step]:
        """Yield what happens to a task sooner or later."""
        chance = self._random.random
        is_in_rush = self._now - self._at <= RUSH
        wait, work = (RUSH_WAIT, RUSH_WORK) if is_in_rush else (1, 1)
        while chance() < REPRIORITISES:
            priority = self._random.choice([other for other in Priority if other != priority])
            yield self._by_staff(priority, REPRIORITISED)
        if chance() < CANCELLED_WAITING:
            yield self._by_staff(Status.CANCELLED, CANCELLED)
            return
        while True:
            yield Step(self._around(WAITS_SECONDS[priority] * wait), Status.PROCESSING)
            if chance() < CANCELLED_IN_WORK:
                yield self._by_staff(Status.CANCELLED, CANCELLED)
                return
            seconds = self._around(self._work.minutes * 60 * work)
            if chance() >= FAILS:
                yield Step(seconds, Status.COMPLETED)
                return
            reason = self.words.fill(self._random.choice(self._work.failures))
            yield Step(seconds, Status.FAILED, reason=reason)
            if chance() < GIVEN_UP:
                return
            yield self._by_staff(Status.PENDING, REQUEUED)

    def _by_staff(self, to: Status | Priority, reasons: Sequence[str]) -> Step:
        reason = self.words.fill(self._random.choice(reasons))
        return Step(self._around(STAFF_SECONDS), to, self._random.choice(STAFF), reason)

    def _around(self, median: float) -> float:
        return self._random.lognormvariate(log(median), 0.9)

    def _some(self, templates: Sequence[str]) -> list[str]:
        some = self._random.sample(templates, self._random.choice((0, 1, 1, 2, 3)))
        return [self.words.fill(template) for template in some]

    def _happened(
        self, priority: Priority, steps: Iterable[Step]
    ) -> tuple[list[EventRow], Status, Priority]:
        """Return the events up to now, and what status and priority they lead to."""
        events: list[EventRow] = []
        status, at = Status.PENDING, self._at
        for step in steps:
            at += timedelta(seconds=step.after_seconds)
            if at > self._now:
                break
            before: Status | Priority
            if isinstance(step.to, Status):
                kind, before, status = EventKind.STATUS, status, step.to
            else:
                kind, before, priority = EventKind.PRIORITY, priority, step.to
            data = {"from": before.value, "to": step.to.value}
            acted = kind_of_actor(step.actor).value
            events.append(EventRow(self._id, kind.value, step.actor, acted, step.reason, data, at))
        return events, status, priority

    def _results(self, events: Sequence[EventRow]) -> list[ResultRow]:
        """Return the result of a completed task, at times after others on the way to it."""
        started_at, completed_at = (event.created_at for event in events[-2:])
        results = [self._result(completed_at, 1)]
        while self._random.random() < GIVES_ANOTHER_RESULT:
            share = self._random.uniform(0.3, 0.95)
            results.append(self._result(started_at + share * (completed_at - started_at), share))
        return results

    def _result(self, at: datetime, share: float) -> ResultRow:
        confidence = round(share * self._random.betavariate(14, 2), 4)
        return ResultRow(uuid4(), self._id, self.words.fill(self._work.result), confidence, at)
