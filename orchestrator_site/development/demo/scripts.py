"""The only run of a demonstration task that has a plan, checks, repairs or decisions.

No worker carries it out, but the rows are those that workers and staff would leave.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from django.db.models import Model

from orchestrator_site.development.demo import receipts
from orchestrator_site.development.demo.runs import USD_PER_TOKEN, WORKER_IDS
from tasks.changes import EventKind, kind_of_actor
from tasks.execution import bells
from tasks.execution.claiming.opening import place_of
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.execution.runs import criteria
from tasks.execution.runs.criteria import Judgement
from tasks.execution.runs.keys import PLANNING, step_id
from tasks.execution.runs.moves import ACCEPTED
from tasks.execution.runs.state import result_of
from tasks.models import Attempt, Budget, Call, Event, Run, Step, Task, TaskResult
from tasks.states import Status, StepRole, StepState, TaskVerdict, WaitsFor

JUDGE: Final = "judge"
PLANNER: Final = "planner"
MAX_TIME_SECONDS: Final = 7_200
MAX_TOKENS: Final = 40_000
TOKENS: Final = range(200, 1_600)
# So that events which follow from one another are not at the same moment.
TICK: Final = timedelta(milliseconds=2)
CAPABILITIES: Final = {StepRole.PLAN: "plan", StepRole.JUDGE: "validate"}


class Script:
    """A run that goes on as its methods say, from the moment `at` on.

    Attributes:
        rows: for the database.
        judgements: the newest ones.
    """

    def __init__(self, task: Task, at: datetime, random: Random) -> None:
        self.at = at
        self._task, self._random = task, random
        self._ends_at = at + timedelta(seconds=task.max_time_seconds)
        self._run = Run(task=task, number=1, created_at=at, started_at=at, ends_at=self._ends_at)
        self._budget = Budget(
            run=self._run, max_tokens=task.max_tokens, max_cost_usd=task.max_cost_usd
        )
        self._budget.spent_usd = Decimal(0)
        self._revision = 1
        # By number, those of plans are not among them.
        self._steps: dict[int, Step] = {}
        self.judgements: list[Judgement] = []
        self.rows: list[Model] = [self._run, self._budget]
        self._enter(Status.PROCESSING)
        self._tell(EventKind.RUN, run=1)

    @property
    def next_number(self) -> int:
        return len(self._steps) + 1

    # Steps

    def plan(self, answer: Any, *, faults: Sequence[str] = ()) -> None:
        """Make a plan, or a part of a plan after another one has failed."""
        done = self.numbers_done()
        step = self._new(PLANNING, StepRole.PLAN, depends_on=done, faults=[*faults])
        self._call(step, PLANNER, answer, seconds=12)

    def adopt(self, parts: Sequence[dict[str, Any]]) -> None:
        """Store the steps of the plan that was made last; their numbers go on."""
        self._tell(EventKind.PLAN, run=1, revision=self._revision, steps=len(parts))
        for part in parts:
            self._new(self.next_number, StepRole.EXECUTE, state=StepState.WAITING, **part)

    def replan(self) -> None:
        """Begin another revision; what has not begun is never carried out."""
        for step in self._steps.values():
            if step.ended_at is None:
                step.state, step.ended_at = StepState.CANCELLED, self.at
        self._revision += 1

    def execute_alone(self) -> None:
        """Store the only step of a task that is not planned."""
        self._new(1, StepRole.EXECUTE)

    def carry_out(
        self, number: int, arm: str, answer: Any, *, seconds: float, **ended: Any
    ) -> None:
        """Carry out a step as soon as the steps that it needs are done.

        Args:
            ended: `verdict` of the answer, or `failure`.
        """
        step = self._steps[number]
        now = self.at
        needed = [self._steps[one].ended_at for one in step.depends_on]
        self.at = max([step.created_at, *(at for at in needed if at is not None)])
        self._call(step, arm, answer, seconds=seconds, **ended)
        # Others may end later, since they are carried out at the same time.
        self.at = max(now, self.at)
        self._task.assigned_arm = arm

    def park(self, number: int, waits_for: WaitsFor) -> None:
        """Let a step wait from now on; no other one can begin."""
        step = self._steps[number]
        step.state, step.waits_for, step.parked_at = StepState.READY, waits_for, self.at
        step.waits_at = step.pinned_arm or ""
        self._run.parked_at = self.at
        place = place_of(1, number, step.role)
        self._tell(EventKind.PARK, **place, waits_for=waits_for.value)

    # Checks, repairs and decisions

    def check(self, numbers: Sequence[int], *said: tuple[str, str]) -> None:
        """Check the result of these steps by rules, and then by an arm, if no rule is against it.

        Args:
            said: the verdict and the evidence of the arm for each open criterion.
        """
        wanted = self._task.acceptance_criteria
        self.judgements = criteria.by_rules(wanted, self.result(numbers))
        still_open = [
            criterion
            for criterion, judgement in zip(wanted, self.judgements, strict=True)
            if judgement.is_open
        ]
        if still_open and not any(judgement.is_not_met for judgement in self.judgements):
            number = self.next_number
            step = self._new(
                number, StepRole.JUDGE, acceptance_criteria=still_open, depends_on=[*numbers]
            )
            answer = {
                "verdicts": [
                    {"criterion": place, "verdict": verdict, "evidence": why, "confidence": 0.9}
                    for place, (verdict, why) in enumerate(said, 1)
                ]
            }
            self._call(step, JUDGE, answer, seconds=9)
            self.judgements = criteria.with_verdicts_of_arm(self.judgements, answer)
        met = sum(judgement.is_met for judgement in self.judgements)
        self._keep_judgements()
        self._tell(EventKind.CHECK, run=1, met=met, criteria=len(wanted))

    def repair(
        self, numbers: Sequence[int], arm: str, answer: Any, *, wish: str = "", seconds: float = 25
    ) -> int:
        """Repair the result of these steps; return the number of the repair."""
        number = self.next_number
        faults = [
            {"criterion": criterion, "why": judgement.evidence}
            for criterion, judgement in zip(
                self._task.acceptance_criteria, self.judgements, strict=True
            )
            if judgement.is_not_met
        ]
        step = self._new(number, StepRole.REPAIR, action=wish, faults=faults, depends_on=[*numbers])
        self._call(step, arm, answer, seconds=seconds)
        return number

    def ask(self, numbers: Sequence[int]) -> int:
        """Let staff decide about the result of these steps; return the number of the decision."""
        number = self.next_number
        self._new(number, StepRole.DECIDE, depends_on=[*numbers])
        self.park(number, WaitsFor.DECISION)
        return number

    def decide(
        self,
        number: int,
        outcome: str,
        *,
        after: timedelta,
        actor: str = "",
        reason: str = "",
        wish: str = "",
    ) -> None:
        """Let staff decide after some time, or let the decision expire."""
        step = self._steps[number]
        self.at += after
        # Time that a decision takes does not count.
        self._ends_at += after
        self._run.ends_at, self._run.parked_at = self._ends_at, None
        self._tell(EventKind.DECISION, actor=actor, reason=reason, outcome=outcome)
        step.state, step.ended_at = StepState.DONE, self.at
        step.waits_for = step.parked_at = None
        step.answer = {"outcome": outcome, "reason": reason, "wish": wish}
        if actor:
            self.judgements = criteria.by_person(self.judgements, accepts=outcome == ACCEPTED)
            self._keep_judgements()

    # Ends

    def end(self, numbers: Sequence[int] = (), failure: FailureCode | None = None) -> None:
        """End the run; the answers of these steps are the result."""
        self._run.ended_at, self._run.failure_code = self.at, failure
        self._run.failure_detail = SENTENCES[failure] if failure else ""
        if numbers:
            confidences = [self._steps[number].confidence or 0 for number in numbers]
            found = self.judgements or [Judgement()] * len(self._task.acceptance_criteria)
            result = TaskResult(
                task=self._task,
                result_data=self.result(numbers),
                confidence=round(criteria.confidence(confidences, found), 4),
                created_at=self.at,
            )
            self.rows.append(result)
            # Otherwise a trigger would set it, with one statement for each task.
            self._task.has_result = True
        self._enter(Status.FAILED if failure else Status.COMPLETED)
        for step in self._steps.values():
            if step.ended_at is None:
                step.state, step.ended_at = StepState.CANCELLED, self.at

    def result(self, numbers: Sequence[int]) -> Any:
        """Return what the answers of these steps make up."""
        return result_of({number: self._steps[number].answer for number in numbers})

    def numbers_done(self) -> list[int]:
        """Return the numbers of the steps of plans that are done."""
        return [
            number
            for number, step in self._steps.items()
            if step.role == StepRole.EXECUTE and step.state == StepState.DONE
        ]

    # Rows

    def _new(self, number: int, role: StepRole, **fields: Any) -> Step:
        key = step_id(self._task.pk, run=1, revision=self._revision, step=number)
        rank = bells.rank(self._task.priority, self._task.created_at, is_anonymous=True)
        step = Step(
            pk=key,
            run=self._run,
            task=self._task,
            number=number,
            role=role,
            revision=self._revision,
            capability=CAPABILITIES.get(role, "validate" if role is StepRole.DECIDE else "execute"),
            rank=rank,
            created_at=self.at,
            **fields,
        )
        self.rows.append(step)
        if number:
            self._steps[number] = step
        return step

    def _call(
        self,
        step: Step,
        arm: str,
        answer: Any,
        *,
        seconds: float,
        verdict: TaskVerdict = TaskVerdict.SAFE,
        failure: FailureCode | None = None,
    ) -> None:
        """End a step with one call."""
        self.at += timedelta(seconds=self._random.uniform(0.05, 0.4))
        began_at = self.at
        place = place_of(1, step.number, step.role)
        self._tell(EventKind.CLAIM, **place, attempt=1)
        self._tell(EventKind.CALL, **place, call=1, arm=arm)
        self.at += timedelta(seconds=seconds * self._random.uniform(0.8, 1.3))
        self._add_call(step, arm, began_at, is_failed=failure is not None)
        step.arm_id, step.tries, step.ended_at = arm, 1, self.at
        if failure:
            step.state, step.failure_code = StepState.FAILED, failure
            return
        step.state, step.answer, step.verdict = StepState.DONE, answer, verdict
        step.confidence = round(self._random.betavariate(14, 2), 4)
        if verdict is TaskVerdict.FLAGGED:
            self.rows.append(receipts.of_answer(step, self.at, self._random))
        self._tell(EventKind.RESULT, **place)

    def _add_call(self, step: Step, arm: str, began_at: datetime, *, is_failed: bool) -> None:
        attempt = Attempt(
            step=step,
            number=1,
            worker_id=self._random.choice(WORKER_IDS),
            started_at=began_at,
            lease_until=self.at,
            ended_at=self.at,
            outcome=AttemptOutcome.FAILED if is_failed else AttemptOutcome.DONE,
        )
        tokens = self._random.choice(TOKENS)
        call = Call(
            attempt=attempt,
            step=step,
            number=1,
            arm_id=arm,
            request_digest=self._random.randbytes(32),
            started_at=began_at,
            ended_at=self.at,
            outcome=CallOutcome.FAILED if is_failed else CallOutcome.SUCCEEDED,
            reserved_tokens=max(TOKENS),
            reserved_usd=max(TOKENS) * USD_PER_TOKEN,
            tokens=tokens,
            cost_usd=tokens * USD_PER_TOKEN,
        )
        self.rows += [attempt, call]
        self._budget.spent_tokens += tokens
        self._budget.spent_usd += tokens * USD_PER_TOKEN
        self._budget.spent_seconds += (self.at - began_at).total_seconds()

    def _keep_judgements(self) -> None:
        self._run.verdicts = [judgement.stored for judgement in self.judgements]

    def _enter(self, status: Status) -> None:
        data = {"from": self._task.status, "to": status.value}
        self._task.status, self._task.updated_at = status.value, self.at
        self._tell(EventKind.STATUS, **data)

    def _tell(self, kind: EventKind, *, actor: str = "", reason: str = "", **data: Any) -> None:
        event = Event(
            task=self._task,
            kind=kind,
            actor=actor,
            actor_kind=kind_of_actor(actor),
            reason=reason,
            data=data,
            created_at=self.at,
        )
        self.rows.append(event)
        self.at += TICK
