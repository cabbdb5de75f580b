"""What a run does after a step has ended: plans and their steps, and the end of a run."""

from dataclasses import replace

import pytest

from tasks.execution.failures import FailureCode
from tasks.execution.runs.moves import Ending, Move, NewStep, next_move
from tasks.execution.runs.options import DEFAULT
from tasks.execution.runs.state import RunState
from tests.arms import step
from tests.tasks.execution.runs.moments import ended, moment, one

pytestmark = pytest.mark.django_db

ARM_FAILED = FailureCode.ARM_FAILED
NO_STEPS = "The plan has no list of steps."


def move_of(run: RunState) -> Move:
    return next_move(run, DEFAULT)


def after_plan(*steps: object, replans: bool = False) -> Move:
    if replans:
        before = [one("plan", 0), one("execute", 1), one("execute", 2, "failed")]
        plan = ended("plan", 0, revision=2, depends_on=[1])
    else:
        before, plan = [], ended("plan", 0)
    return move_of(moment(*before, plan, answer={"steps": [*steps]}))


def brief(step: NewStep) -> tuple[str, int, str, tuple[int, ...]]:
    return step.role.value, step.number, step.state.value, step.depends_on


# After a plan


def test_a_valid_plan_becomes_steps() -> None:
    move = after_plan(step(1), step(2, 1, arm_id="helper", acceptance_criteria=["Short"]))
    assert [*map(brief, move.new_steps)] == [
        ("execute", 1, "ready", ()),
        ("execute", 2, "waiting", (1,)),
    ]
    second = move.new_steps[1]
    assert (second.action, second.pinned_arm) == ("Do part 2", "helper")
    assert (second.acceptance_criteria, second.estimated_seconds) == (("Short",), 1)
    assert {(new.capability, new.revision) for new in move.new_steps} == {("execute", 1)}
    [event] = move.events
    assert (event.kind, event.data) == ("plan", {"run": 1, "revision": 1, "steps": 2})
    assert move.ending is None


def test_at_most_four_steps_begin_with_a_plan() -> None:
    states = [new.state for new in after_plan(*(step(n) for n in range(1, 7))).new_steps]
    assert states == ["ready"] * 4 + ["waiting"] * 2


def test_steps_get_the_numbers_that_follow_in_their_order() -> None:
    move = after_plan(step(30), step(10, 30), step(20, 10, 30))
    assert [(new.number, {*new.depends_on}) for new in move.new_steps] == [
        (1, set()),
        (2, {1}),
        (3, {1, 2}),
    ]


def test_the_steps_of_another_plan_follow_those_there_are() -> None:
    move = after_plan(step(5), step(6, 5, 1), replans=True)
    assert [*map(brief, move.new_steps)] == [
        ("execute", 3, "ready", ()),
        ("execute", 4, "waiting", (1, 3)),
    ]
    assert {new.revision for new in move.new_steps} == {2}


def test_a_step_that_depends_only_on_what_is_done_begins() -> None:
    [new] = after_plan(step(5, 1), replans=True).new_steps
    assert brief(new) == ("execute", 3, "ready", (1,))


def test_a_number_of_the_plan_comes_before_that_of_a_step_that_is_done() -> None:
    move = after_plan(step(1), step(2, 1), replans=True)
    assert [new.depends_on for new in move.new_steps] == [(), (3,)]


def test_another_plan_cannot_depend_on_a_step_that_failed() -> None:
    [new] = after_plan(step(5, 2), replans=True).new_steps
    assert (new.role, new.faults) == ("plan", ("Step 5 depends on a step that does not exist.",))


def test_an_invalid_plan_is_asked_for_once_more_with_its_faults() -> None:
    move = after_plan()
    assert [*move.new_steps] == [
        NewStep(
            role="plan", capability="plan", revision=2, number=0,
            faults=(NO_STEPS,),
        )
    ]  # fmt: skip
    assert move.events == ()


def test_the_second_invalid_plan_fails_the_task() -> None:
    before = [one("plan", 0), ended("plan", 0, revision=2, faults=["Wrong."])]
    assert move_of(moment(*before, answer={"steps": []})) == Move(
        ending=Ending(FailureCode.PLAN_INVALID, detail=NO_STEPS)
    )


def test_another_plan_that_is_invalid_is_asked_for_once_more_and_keeps_what_is_done() -> None:
    [again] = after_plan(replans=True).new_steps
    assert (again.role, again.revision, again.depends_on) == ("plan", 3, (1,))
    assert again.faults == (NO_STEPS,)


def test_another_plan_that_is_invalid_twice_leaves_a_part_of_the_result() -> None:
    run = moment(
        one("plan", 0), one("execute", 1), one("execute", 2, "failed"), one("plan", 0, revision=2),
        ended("plan", 0, revision=3, depends_on=[1], faults=["Wrong."]), answer={"steps": []},
    )  # fmt: skip
    assert move_of(run).ending == Ending(FailureCode.PLAN_INVALID, {"1": 1}, 0.9, NO_STEPS)


@pytest.mark.parametrize("code", FailureCode)
def test_a_plan_that_nobody_made_fails_the_task(code: FailureCode) -> None:
    assert move_of(moment(ended("plan", 0), failure=code)).ending == Ending(code)


# After a step of a plan


def after_step(*others: dict[str, object], failure: FailureCode | None = None) -> Move:
    """Return the move after step 1 of a plan has ended."""
    answer = None if failure else "one"
    return move_of(
        moment(one("plan", 0), *others, ended("execute", 1), answer=answer, failure=failure)
    )


def test_what_depended_on_a_step_begins_after_it() -> None:
    move = after_step(
        one("execute", 2, "waiting", depends_on=[1]),
        one("execute", 3, "waiting", depends_on=[1, 2]),
    )
    assert move == Move(starts=(2,))


def test_as_many_steps_begin_as_places_are_free() -> None:
    waiting = [one("execute", n, "waiting") for n in (5, 6, 7)]
    running = [one("execute", n, "running") for n in (2, 3)]
    assert after_step(*running, *waiting).starts == (5, 6)


def test_steps_that_wait_for_an_arm_take_a_place() -> None:
    ready = [one("execute", n, "ready") for n in (2, 3, 4)]
    waiting = [one("execute", n, "waiting") for n in (5, 6)]
    assert after_step(*ready, *waiting).starts == (5,)


def test_nothing_begins_while_others_are_carried_out_and_nothing_waits() -> None:
    assert after_step(one("execute", 2, "running")) == Move()


def test_the_last_step_completes_the_task() -> None:
    move = after_step(one("execute", 2, depends_on=[]), one("execute", 3, depends_on=[2]))
    # Step 2 was needed by step 3.
    assert move == Move(ending=Ending(None, {"1": "one", "3": 3}, 0.8))


def test_a_plan_with_one_end_has_its_answer_as_result() -> None:
    run = moment(
        one("plan", 0), one("execute", 1), ended("execute", 2, depends_on=[1]), answer=["two"]
    )
    assert move_of(run).ending == Ending(None, ["two"], 0.8)


def test_a_step_that_failed_for_good_leads_to_another_plan() -> None:
    move = after_step(one("execute", 2), failure=ARM_FAILED)
    assert move.stops
    assert [*map(brief, move.new_steps)] == [("plan", 0, "ready", (2,))]
    assert move.new_steps[0].revision == 2


def test_another_plan_waits_for_the_steps_that_are_carried_out() -> None:
    move = after_step(
        one("execute", 2, "running"), one("execute", 3, "waiting"), failure=ARM_FAILED
    )
    assert move == Move(stops=True)


def test_the_last_of_those_steps_asks_for_it_and_is_kept() -> None:
    move = after_step(one("execute", 2, "failed"), one("execute", 3, "cancelled"))
    assert [*map(brief, move.new_steps)] == [("plan", 0, "ready", (1,))]


def test_the_second_plan_is_the_last_one() -> None:
    run = moment(
        one("plan", 0), one("execute", 1), one("execute", 2, "failed"), one("plan", 0, revision=2),
        ended("execute", 3, revision=2), failure=FailureCode.OUTPUT_REFUSED,
    )  # fmt: skip
    assert move_of(run).ending == Ending(FailureCode.OUTPUT_REFUSED, {"1": 1}, 0.9)


@pytest.mark.parametrize(
    "code",
    [
        "timed_out",
        "budget_exhausted",
        "outcome_unknown",
        "too_many_attempts",
        "answer_unscreened",
    ],
)
def test_some_failures_leave_nothing_to_plan(code: str) -> None:
    move = after_step(one("execute", 2), failure=FailureCode(code))
    assert move == Move(ending=Ending(FailureCode(code), {"2": 2}, 0.9))


@pytest.mark.parametrize("code", ["budget_exhausted", "outcome_unknown", "too_many_attempts"])
def test_a_failure_that_leaves_nothing_to_plan_counts_before_others(code: str) -> None:
    move = after_step(one("execute", 2, "failed", failure_code=code), failure=ARM_FAILED)
    assert move.ending == Ending(FailureCode(code))


def test_without_an_arm_that_plans_a_failed_step_fails_the_task() -> None:
    run = moment(
        one("plan", 0), ended("execute", 1), failure=ARM_FAILED, arms={"helper": ["execute"]}
    )
    assert move_of(run).ending == Ending(ARM_FAILED)


def test_a_task_without_a_plan_is_not_planned_after_a_failure() -> None:
    assert move_of(moment(ended("execute", 1), failure=ARM_FAILED)).ending == Ending(ARM_FAILED)


def test_what_is_done_before_a_check_counts_as_unchecked() -> None:
    run = moment(
        one("plan", 0), one("execute", 1), ended("execute", 2), failure=FailureCode.TIMED_OUT,
        criteria=("At most 3 words",),
    )  # fmt: skip
    assert move_of(run).ending == Ending(FailureCode.TIMED_OUT, {"1": 1}, 0.45)


def test_a_run_that_fails_does_not_wait_for_a_step_that_is_parked() -> None:
    run = moment(
        one("plan", 0), one("execute", 1, "ready", waits_for="arm"), ended("execute", 2),
        failure=FailureCode.OUTCOME_UNKNOWN,
    )  # fmt: skip
    nodes = tuple(replace(node, has_unknown=node.number == 1) for node in run.nodes)
    assert move_of(replace(run, nodes=nodes)).ending == Ending(FailureCode.OUTCOME_UNKNOWN)
