"""What a run does after a step has ended. Nothing here writes.

plan ── steps ── check ── complete          step failed for good ── replan, once ── failed
                   ├── repair ── check      not met: two repairs at most
                   └── decision             undecided, if operators want to be asked
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tasks.arms.description import Capability
from tasks.changes import EventKind
from tasks.execution.concluding import Event
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import (
    NO_ARM,
    NO_BUDGET,
    Judgement,
    by_person,
    by_rules,
    confidence,
    with_verdicts_of_arm,
    without_judge,
)
from tasks.execution.runs.options import RunOptions, Undecided
from tasks.execution.runs.plan import PlannedStep, checked
from tasks.execution.runs.state import RunState
from tasks.states import StepRole, StepState, WaitsFor

# Of one task, at a time.
MAX_SIDE_BY_SIDE: Final = 4
MAX_PLANS: Final = 2
MAX_REPAIRS: Final = 2
# Staff may ask for more repairs; each is one more.
MAX_REPAIRS_OF_STAFF: Final = 5
# After these, a plan is not tried in another way: the time or the budget is gone, or the step may
# have had its effect.
FINAL_FAILURES: Final = frozenset(
    {
        FailureCode.TIMED_OUT,
        FailureCode.BUDGET_EXHAUSTED,
        FailureCode.OUTCOME_UNKNOWN,
        FailureCode.TOO_MANY_ATTEMPTS,
        FailureCode.ANSWER_UNSCREENED,
    }
)
SAME_AGAIN: Final = "The repair brought the same result again."
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
EXPIRED: Final = "expired"


@dataclass(frozen=True)
class NewStep:
    """A step to be stored; the attributes are those of `tasks.models.Step`."""

    role: StepRole
    capability: Capability
    revision: int
    number: int
    state: StepState = StepState.READY
    action: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    pinned_arm: str | None = None
    depends_on: tuple[int, ...] = ()
    estimated_seconds: float = 0
    faults: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Ending:
    """The end of a run.

    Attributes:
        failure: None if the task is completed.
        result: None if there is none.
        detail: sentences about the failure, without anybody's text.
    """

    failure: FailureCode | None = None
    result: Any = None
    confidence: float = 0
    detail: str = ""


@dataclass(frozen=True)
class Move:
    """What a run does next.

    Attributes:
        ending: None if it goes on.
        new_steps: to be stored; those that are ready begin.
        starts: the numbers of waiting steps that begin.
        stops: whether no other step begins that has not begun.
        judgements: the verdicts on the criteria, if they were checked.
    """

    ending: Ending | None = None
    new_steps: tuple[NewStep, ...] = ()
    starts: tuple[int, ...] = ()
    stops: bool = False
    judgements: tuple[Judgement, ...] | None = None
    events: tuple[Event, ...] = ()


def next_move(run: RunState, options: RunOptions) -> Move:
    """Return what the run does now that a step has ended."""
    ended = run.ended
    if ended.failure is FailureCode.TIMED_OUT:
        return _failed(run, FailureCode.TIMED_OUT)
    match ended.role:
        case StepRole.PLAN:
            return _after_plan(run)
        case StepRole.EXECUTE:
            return _after_step(run, options)
        case StepRole.REPAIR:
            return _after_repair(run, options)
        case StepRole.JUDGE:
            return _after_judge(run, options)
        case StepRole.DECIDE:
            return _after_decision(run)


# Plans


def _after_plan(run: RunState) -> Move:
    if run.ended.failure:
        return _failed(run, run.ended.failure)
    plan = checked(
        run.answer,
        arms=run.arms,
        done=[node.number for node in run.done_steps],
        seconds_left=run.seconds_left,
    )
    if not plan.faults:
        steps = _as_steps(plan.steps, run)
        data = {"run": run.number, "revision": run.revision, "steps": len(steps)}
        return Move(new_steps=steps, events=(Event(EventKind.PLAN, data),))
    if run.ended.faults:
        return _failed(run, FailureCode.PLAN_INVALID, " ".join(plan.faults))
    return Move(new_steps=(replace(_new_plan(run), faults=plan.faults),))


def _as_steps(planned: Sequence[PlannedStep], run: RunState) -> tuple[NewStep, ...]:
    """Return the steps of a plan, numbered after those that the run has already."""
    numbers = {step.number: run.next_number + place for place, step in enumerate(planned)}
    steps: list[NewStep] = []
    for step in planned:
        # A number of the plan itself comes before that of a step that is done.
        depends_on = tuple(numbers.get(number, number) for number in step.depends_on)
        waits = any(number in numbers for number in step.depends_on)
        begun = sum(one.state is StepState.READY for one in steps)
        is_ready = not waits and begun < MAX_SIDE_BY_SIDE
        steps.append(
            NewStep(
                role=StepRole.EXECUTE,
                capability=Capability.EXECUTE,
                revision=run.revision,
                number=numbers[step.number],
                state=StepState.READY if is_ready else StepState.WAITING,
                action=step.action,
                acceptance_criteria=step.acceptance_criteria,
                pinned_arm=step.arm,
                depends_on=depends_on,
                estimated_seconds=step.estimated_seconds,
            )
        )
    return tuple(steps)


def _new_plan(run: RunState) -> NewStep:
    return NewStep(
        role=StepRole.PLAN,
        capability=Capability.PLAN,
        revision=run.revision + 1,
        number=0,
        depends_on=tuple(node.number for node in run.done_steps),
    )


def _after_step(run: RunState, options: RunOptions) -> Move:
    steps = run.current_steps
    failures = [node.failure for node in steps if node.failure]
    if failures:
        return _after_failures(run, failures)
    if not any(node.is_open for node in steps):
        return _check(run, run.leaves, options)
    done = {node.number for node in run.done_steps}
    begun = sum(node.state in (StepState.READY, StepState.RUNNING) for node in steps)
    waiting = [
        node.number
        for node in steps
        if node.state is StepState.WAITING and done.issuperset(node.depends_on)
    ]
    return Move(starts=tuple(waiting[: max(0, MAX_SIDE_BY_SIDE - begun)]))


def _after_failures(run: RunState, failures: Sequence[FailureCode]) -> Move:
    """Make another plan, once, or end the run; as soon as the other steps have ended."""
    # What they bring is kept, and paid for as it is.
    if any(node.state is StepState.RUNNING for node in run.current_steps):
        return Move(stops=True)
    final = next((code for code in failures if code in FINAL_FAILURES), None)
    can_plan = any(Capability.PLAN in capabilities for capabilities in run.arms.values())
    if final or not can_plan or not 0 < run.plans < MAX_PLANS:
        return _failed(run, final or failures[0])
    # Another plan would do with other keys what may have been done.
    if any(node.may_have_effect for node in run.current_steps):
        return Move(stops=True)
    return Move(stops=True, new_steps=(_new_plan(run),))


# Criteria


def _check(run: RunState, numbers: tuple[int, ...], options: RunOptions) -> Move:
    """Check the result that these steps make up: by rules first, and then by an arm."""
    judgements = by_rules(run.criteria, run.result(numbers))
    still_open = [
        criterion
        for criterion, judgement in zip(run.criteria, judgements, strict=True)
        if judgement.is_open
    ]
    # A result that will be repaired anyway is not worth a call.
    if not still_open or any(judgement.is_not_met for judgement in judgements):
        return _after_check(run, numbers, judgements, options)
    if not run.may_be_judged:
        return _after_check(run, numbers, without_judge(judgements), options)
    judge = NewStep(
        role=StepRole.JUDGE,
        capability=Capability.VALIDATE,
        revision=run.revision,
        number=run.next_number,
        acceptance_criteria=tuple(still_open),
        depends_on=numbers,
    )
    return Move(new_steps=(judge,), judgements=tuple(judgements))


def _after_judge(run: RunState, options: RunOptions) -> Move:
    judge = run.ended
    # Not the rules again: a worker of another version may have them for other criteria, and would
    # mistake the numbers of those that the arm was asked about.
    judgements = with_verdicts_of_arm(run.judgements, run.answer)
    if judge.failure and judge.arm is None:
        # It was not called.
        is_poor = judge.failure is FailureCode.BUDGET_EXHAUSTED
        judgements = without_judge(run.judgements, NO_BUDGET if is_poor else NO_ARM)
    return _after_check(run, judge.depends_on, judgements, options)


def _after_check(
    run: RunState, numbers: tuple[int, ...], judgements: Sequence[Judgement], options: RunOptions
) -> Move:
    if any(judgement.is_not_met for judgement in judgements):
        move = _not_met(run, numbers, judgements)
    elif options.undecided is Undecided.ASK and any(one.is_open for one in judgements):
        data = {"run": run.number, "step": run.next_number, "waits_for": WaitsFor.DECISION.value}
        move = Move(new_steps=(_decision(run, numbers),), events=(Event(EventKind.PARK, data),))
    else:
        move = Move(ending=_ending(run, numbers, judgements))
    if judgements:
        met = sum(judgement.is_met for judgement in judgements)
        data = {"run": run.number, "met": met, "criteria": len(judgements)}
        event = Event(EventKind.CHECK, data)
        move = replace(move, judgements=tuple(judgements), events=(event, *move.events))
    return move


def _not_met(
    run: RunState, numbers: tuple[int, ...], judgements: Sequence[Judgement], wish: str = ""
) -> Move:
    """Let an arm repair the result, if that may still be done.

    Args:
        wish: what staff want to be better.
    """
    repairs = run.with_roles(StepRole.REPAIR)
    of_staff = sum(bool(repair.action) for repair in repairs)
    may_repair = of_staff < MAX_REPAIRS_OF_STAFF if wish else len(repairs) - of_staff < MAX_REPAIRS
    if not may_repair:
        return Move(ending=_ending(run, numbers, judgements, FailureCode.CRITERIA_NOT_MET))
    faults = [
        {"criterion": criterion, "why": judgement.evidence}
        for criterion, judgement in zip(run.criteria, judgements, strict=True)
        if judgement.is_not_met
    ]
    repair = NewStep(
        role=StepRole.REPAIR,
        capability=Capability.EXECUTE,
        revision=run.revision,
        number=run.next_number,
        action=wish,
        depends_on=numbers,
        faults=tuple(faults),
    )
    return Move(new_steps=(repair,))


def _after_repair(run: RunState, options: RunOptions) -> Move:
    repair = run.ended
    if repair.failure:
        return _failed(run, repair.failure)
    if run.answer == run.result(repair.depends_on):
        return _failed(run, FailureCode.CRITERIA_NOT_MET, SAME_AGAIN)
    return _check(run, (repair.number,), options)


# Decisions


def _decision(run: RunState, numbers: tuple[int, ...]) -> NewStep:
    return NewStep(
        role=StepRole.DECIDE,
        # Nobody is called for it.
        capability=Capability.VALIDATE,
        revision=run.revision,
        number=run.next_number,
        depends_on=numbers,
    )


def _after_decision(run: RunState) -> Move:
    numbers, decision = run.ended.depends_on, run.answer
    if decision["outcome"] == EXPIRED:
        return _failed(run, FailureCode.DECISION_EXPIRED)
    judgements = tuple(by_person(run.judgements, accepts=decision["outcome"] == ACCEPTED))
    if decision["outcome"] == ACCEPTED:
        return Move(ending=_ending(run, numbers, judgements), judgements=judgements)
    wish = decision["wish"]
    if wish:
        return replace(_not_met(run, numbers, judgements, wish), judgements=judgements)
    ending = _ending(run, numbers, judgements, FailureCode.CRITERIA_NOT_MET)
    return Move(ending=ending, judgements=judgements)


# Ends


def _ending(
    run: RunState,
    numbers: Sequence[int],
    judgements: Sequence[Judgement],
    failure: FailureCode | None = None,
) -> Ending:
    in_result = confidence(run.confidences(numbers), judgements)
    return Ending(failure, run.result(numbers), in_result)


def _failed(run: RunState, failure: FailureCode, detail: str = "") -> Move:
    """End the run; what there is so far is its result."""
    numbers = _last_result(run)
    answers = run.answers(numbers)
    if not answers:
        return Move(ending=Ending(failure, detail=detail))
    is_whole = run.ended.role not in (StepRole.PLAN, StepRole.EXECUTE)
    # A part of a plan is an object by the numbers of the steps.
    result = run.result(numbers) if is_whole else {str(n): one for n, one in answers.items()}
    unchecked = [Judgement()] * len(run.criteria)
    judgements = run.judgements if is_whole else unchecked
    in_result = confidence(run.confidences(numbers), judgements)
    return Move(ending=Ending(failure, result, in_result, detail))


def _last_result(run: RunState) -> tuple[int, ...]:
    """Return the numbers of the steps that make up what there is."""
    if run.ended.role in (StepRole.JUDGE, StepRole.REPAIR, StepRole.DECIDE):
        return run.ended.depends_on
    return tuple(node.number for node in run.done_steps)
