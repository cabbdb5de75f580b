"""Demonstration tasks with plans, checks, repairs and decisions, and how they end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle
from random import Random
from typing import Any, Final

from django.db.models import Model

from orchestrator_site.development.demo import plan_texts, receipts, texts
from orchestrator_site.development.demo.plan_texts import Part, PlannedWork
from orchestrator_site.development.demo.scripts import (
    MAX_TIME_SECONDS,
    MAX_TOKENS,
    Script,
)
from tasks.execution.failures import FailureCode
from tasks.execution.runs.moves import ACCEPTED, EXPIRED, REJECTED
from tasks.execution.runs.options import DEFAULT_DECISION_SECONDS
from tasks.execution.runs.plan import checked
from tasks.models import Task
from tasks.states import Priority, TaskVerdict, WaitsFor

DAY: Final = timedelta(days=1)
EXPIRES_AFTER: Final = timedelta(seconds=DEFAULT_DECISION_SECONDS)
# Whatever staff do, they do it within this time.
ALL_IS_OVER: Final = timedelta(hours=6)
# No work takes longer, apart from decisions.
WORK_IS_OVER: Final = timedelta(hours=1)


class PlannedLife:
    """The life of one task; its methods are the ways in which it may go."""

    def __init__(self, work: PlannedWork, priority: Priority, at: datetime, random: Random) -> None:
        self._random = random
        self._fill = texts.Words(random).fill
        self._work = work
        context = self._fill(work.context)
        task = Task(
            goal=self._fill(random.choice(work.goals)),
            priority=priority,
            context=context,
            acceptance_criteria=self._fill([*work.criteria]),
            task_metadata=context,
            max_time_seconds=MAX_TIME_SECONDS,
            max_tokens=MAX_TOKENS,
            created_at=at,
            updated_at=at,
        )
        receipt = receipts.of_task(task, random)
        task.verdict = receipt.verdict
        self._parts = [self._filled(part) for part in work.parts]
        self._script = Script(task, at + timedelta(seconds=random.uniform(0.5, 20)), random)
        self._rows: list[Model] = [task, receipt]

    @property
    def rows(self) -> list[Model]:
        return [*self._rows, *self._script.rows]

    @property
    def _said(self) -> list[tuple[str, str]]:
        """What a judge may say: that the criterion is met, is not met, and that it cannot tell."""
        verdicts = ("met", "not_met", "undecided")
        return [*zip(verdicts, self._fill([*self._work.evidence]), strict=True)]

    # How it may go

    def completed(self) -> None:
        numbers = self._carry_out()
        self._script.check(numbers, self._said[0])
        self._script.end(numbers)

    def repaired(self) -> None:
        self._script.end(self._repair(self._carry_out(is_too_long=True)))

    def undecided(self) -> None:
        numbers = self._carry_out()
        self._script.check(numbers, self._said[2])
        self._script.end(numbers)

    def replanned(self) -> None:
        """Let the last step fail; another plan replaces it, and keeps what is done."""
        script, last = self._script, self._parts[-1]
        self._plan(self._parts)
        for number, part in enumerate(self._parts[:-1], 1):
            script.carry_out(number, part.arm, part.answer, seconds=part.seconds)
        script.carry_out(
            len(self._parts), last.arm, None, seconds=90, failure=FailureCode.ARM_FAILED
        )
        script.replan()
        self._plan([replace(last, action=f"{last.action}, from what is done")])
        number = script.next_number - 1
        script.carry_out(number, last.arm, last.answer, seconds=last.seconds)
        script.check([number], self._said[0])
        script.end([number])

    def plan_invalid(self) -> None:
        nothing: dict[str, Any] = {"steps": []}
        self._script.plan(nothing)
        faults = checked(nothing, arms={}, seconds_left=1).faults
        self._script.replan()
        self._script.plan(nothing, faults=faults)
        self._script.end(failure=FailureCode.PLAN_INVALID)

    def not_met(self) -> None:
        """Let two repairs change something, and never what matters."""
        numbers = self._carry_out()
        arm = self._parts[-1].arm
        self._script.check(numbers, self._said[1])
        for attempt in ("second", "third"):
            answer = {**self._parts[-1].answer, "version": attempt}
            numbers = [self._script.repair(numbers, arm, answer)]
            self._script.check(numbers, self._said[1])
        self._script.end(numbers, FailureCode.CRITERIA_NOT_MET)

    def accepted(self) -> None:
        numbers, decision = self._ask()
        self._decide(decision, ACCEPTED, plan_texts.ACCEPTED)
        self._script.end(numbers)

    def rejected(self) -> None:
        numbers, decision = self._ask()
        self._decide(decision, REJECTED, plan_texts.REJECTED)
        self._script.end(numbers, FailureCode.CRITERIA_NOT_MET)

    def rejected_with_a_wish(self) -> None:
        """Let staff reject the result, have it repaired, and accept the repair."""
        numbers, decision = self._ask()
        wish = self._fill(self._random.choice(plan_texts.WISHES))
        self._decide(decision, REJECTED, plan_texts.REJECTED, wish=wish)
        part = self._parts[-1]
        answer = {**part.answer, "changed": wish}
        numbers = [self._script.repair(numbers, part.arm, answer, wish=wish)]
        self._script.check(numbers, self._said[2])
        self._decide(self._script.ask(numbers), ACCEPTED, plan_texts.ACCEPTED)
        self._script.end(numbers)

    def expired(self) -> None:
        numbers, decision = self._ask()
        self._script.decide(decision, EXPIRED, after=EXPIRES_AFTER)
        self._script.end(numbers, FailureCode.DECISION_EXPIRED)

    def waits_for_a_decision(self) -> None:
        self._ask()

    def waits_for_an_arm(self) -> None:
        """Stop before the last step, whose arm is not there."""
        self._plan(self._parts)
        for number, part in enumerate(self._parts[:-1], 1):
            self._script.carry_out(number, part.arm, part.answer, seconds=part.seconds)
        self._script.park(len(self._parts), WaitsFor.ARM)

    # Parts of these ways

    def _ask(self) -> tuple[list[int], int]:
        """Return the steps that make up the result, and the decision that is asked for."""
        numbers = self._carry_out()
        self._script.check(numbers, self._said[2])
        return numbers, self._script.ask(numbers)

    def _decide(self, decision: int, outcome: str, reasons: Sequence[str], **fields: Any) -> None:
        after = timedelta(seconds=min(7_000.0, self._random.lognormvariate(7.6, 0.8)))
        reason = self._fill(self._random.choice(reasons))
        actor = self._random.choice(texts.STAFF)
        self._script.decide(decision, outcome, after=after, actor=actor, reason=reason, **fields)

    def _carry_out(self, *, is_too_long: bool = False) -> list[int]:
        """Carry out all steps; return the numbers of those that make up the result."""
        if len(self._parts) == 1:
            self._script.execute_alone()
        else:
            self._plan(self._parts)
        for number, part in enumerate(self._parts, 1):
            is_last = number == len(self._parts)
            answer = self._too_long() if is_last and is_too_long else part.answer
            is_flagged = self._work is plan_texts.COMPARISON and number == plan_texts.FLAGGED_PART
            verdict = TaskVerdict.FLAGGED if is_flagged else TaskVerdict.SAFE
            self._script.carry_out(number, part.arm, answer, seconds=part.seconds, verdict=verdict)
        return [len(self._parts)]

    def _too_long(self) -> dict[str, Any]:
        answer = self._parts[-1].answer
        return {**answer, "summary": answer["summary"] + plan_texts.TAIL}

    def _repair(self, numbers: list[int]) -> list[int]:
        part = self._parts[-1]
        # A rule decides that it is too long; nobody asks an arm.
        self._script.check(numbers)
        numbers = [self._script.repair(numbers, part.arm, part.answer)]
        self._script.check(numbers, self._said[0])
        return numbers

    def _plan(self, parts: Sequence[Part]) -> None:
        """Make a plan of these parts, and store its steps."""
        listed = [
            {
                "step_number": number,
                "action": part.action,
                "arm_id": part.arm,
                "dependencies": [*part.after],
                "acceptance_criteria": [],
                "estimated_duration_seconds": part.seconds,
            }
            for number, part in enumerate(parts, self._script.next_number)
        ]
        self._script.plan({"steps": listed})
        self._script.adopt(
            [
                {
                    "action": part.action,
                    "pinned_arm": part.arm,
                    "depends_on": [*part.after],
                    "estimated_seconds": part.seconds,
                }
                for part in parts
            ]
        )

    def _filled(self, part: Part) -> Part:
        return replace(part, action=self._fill(part.action), answer=self._fill(part.answer))


# In turn, so that each of them is there among a few tasks.
WITH_PLAN: Final = (
    PlannedLife.completed,
    PlannedLife.repaired,
    PlannedLife.replanned,
    PlannedLife.not_met,
    PlannedLife.undecided,
    PlannedLife.plan_invalid,
)
WITH_DECISION: Final = (
    PlannedLife.accepted,
    PlannedLife.rejected,
    PlannedLife.rejected_with_a_wish,
    PlannedLife.expired,
)
UNFINISHED: Final = (PlannedLife.waits_for_an_arm, PlannedLife.waits_for_a_decision)


class PlannedLives:
    """Chooses how tasks with plans and decisions go, one after the other."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ways = cycle(WITH_PLAN)
        self._decisions = cycle(WITH_DECISION)
        self._unfinished = cycle(UNFINISHED)
        self._places = cycle(range(3))

    def life(self, at: datetime, now: datetime) -> list[Model] | None:
        """Return the rows of a task that was submitted at a moment; None if that is too late."""
        age = now - at
        if age < WORK_IS_OVER:
            return None
        has_decision = next(self._places) == 2
        if age < ALL_IS_OVER:
            way = next(self._unfinished)
            has_decision = way is PlannedLife.waits_for_a_decision
        elif has_decision:
            way = next(self._decisions)
            if way is PlannedLife.expired and age < EXPIRES_AFTER + WORK_IS_OVER:
                way = PlannedLife.accepted
        else:
            way = next(self._ways)
        works = (plan_texts.LETTERS,) if has_decision else plan_texts.WORKS
        work = self._random.choice(works)
        # Tasks of low priority are not planned, and the only critical failure is another one.
        life = PlannedLife(
            work, Priority.MEDIUM if has_decision else Priority.HIGH, at, self._random
        )
        way(life)
        return life.rows


def comparison(yesterday: datetime, random: Random) -> list[Model]:
    """Return a completed task with a plan of six steps, a flagged answer and a repair."""
    life = PlannedLife(
        plan_texts.COMPARISON, Priority.HIGH, yesterday + timedelta(hours=1, minutes=18), random
    )
    life.repaired()
    return life.rows


def letter(now: datetime, random: Random) -> list[Model]:
    """Return a task whose result waits for a decision."""
    at = now - timedelta(minutes=random.uniform(100, 160))
    life = PlannedLife(plan_texts.LETTER, Priority.MEDIUM, at, random)
    life.waits_for_a_decision()
    return life.rows
