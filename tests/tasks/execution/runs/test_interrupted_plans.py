"""Planned tasks that do not go as planned: retries, ends in the middle, and another plan."""

import pytest

from tasks.models import Arm, Attempt, Budget, Call, Event, Run, Task
from tests.arms import (
    ScriptedArm,
    closes,
    fails,
    in_turn,
    plans,
    says_status,
    step,
    succeeds,
    works,
)
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.runs.carried_out import (
    PLANNED,
    begun,
    by_action,
    carried_out,
    contract,
    failure,
    go_on,
    result,
    steps,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def answers_by_action(arm: ScriptedArm) -> None:
    arm.behaviour = by_action()


# Retries


def test_a_step_that_may_be_repeated_is_no_reason_for_another_plan(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    arm.behaviour = by_action(_1=in_turn(says_status("503 Service Unavailable"), works("at last")))
    planner.behaviour = plans(step(1), step(2, 1))
    task = carried_out(worker, **PLANNED)
    assert steps("state", role="execute") == ["ready", "waiting"]
    assert go_on(worker, task).status == "completed"
    assert len(planner.work) == 1
    assert contract(arm.work[-1])["context"]["results"] == {"1": "at last"}


# Ends in the middle


def test_a_cancel_ends_all_steps_attempts_and_calls(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(*(step(number) for number in range(1, 7)))
    task = begun(**PLANNED)
    worker.work()
    first, second, *_ = steps("id", state="ready")
    worker.claims.claim_step(first)
    worker.carrier.carry_out_step(second)
    Task.objects.get().cancel()
    assert steps("state") == ["done", "cancelled", "done", *["cancelled"] * 4]
    assert not Attempt.objects.filter(ended_at=None).exists()
    assert not Call.objects.filter(ended_at=None).exists()
    assert Run.objects.get().ended_at is not None
    budget = Budget.objects.get()
    assert (budget.reserved_tokens, budget.reserved_usd) == (0, 0)
    calls = len(arm.work)
    assert go_on(worker, task).status == "cancelled"
    assert len(arm.work) == calls


def test_when_the_time_is_over_in_the_middle_what_is_done_is_kept(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    arm.behaviour = by_action(_2=says_status("503 Service Unavailable"))
    planner.behaviour = plans(step(1), step(2), step(3, 2))
    task = carried_out(worker, **PLANNED, max_time_seconds=60)
    advance(100)
    worker.reconcile()
    task.refresh_from_db()
    assert (task.status, failure(task)) == ("failed", "timed_out")
    assert result(task) == {"1": "result of 1"}
    assert steps("state", role="execute") == ["done", "failed", "cancelled"]
    assert len(planner.work) == 1


def test_when_the_budget_is_spent_in_the_middle_what_is_done_is_kept(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    greedy = succeeds("much", provenance={"tokens_consumed": 10_000, "confidence": 0.9})
    arm.behaviour = by_action(_1=greedy)
    planner.behaviour = plans(step(1), step(2, 1), step(3, 1))
    task = carried_out(worker, **PLANNED)
    assert (task.status, failure(task)) == ("failed", "budget_exhausted")
    assert result(task) == {"1": "much"}
    assert (len(arm.work), len(planner.work)) == (1, 1)


def test_an_unknown_outcome_is_not_planned_again(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    arm.behaviour = by_action(_2=closes())
    planner.behaviour = plans(step(1), step(2, 1))
    task = carried_out(worker, **PLANNED)
    assert (failure(task), result(task)) == ("outcome_unknown", {"1": "result of 1"})
    assert len(planner.work) == 1


def test_a_requeue_makes_a_plan_of_its_own_with_new_keys(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("one"), closes(), works("again"))
    planner.behaviour = in_turn(plans(step(1), step(2, 1)), plans(step(1)))
    task = carried_out(worker, **PLANNED)
    task.requeue()
    task = go_on(worker, task)
    assert (task.status, failure(task)) == ("completed", None)
    assert [result.result_data for result in task.results.order_by("created_at")] == [
        {"1": "one"},
        "again",
    ]
    assert [*Run.objects.values_list("number", "failure_code")] == [
        (1, "outcome_unknown"),
        (2, None),
    ]
    keys = arm.keys + planner.keys
    assert len({*keys}) == len(keys) == 5
    assert "planning" in planner.work[1].json["context"]
    assert "done" not in planner.work[1].json["context"]["planning"]


# Another plan


@pytest.fixture
def replanned(worker: Hand, arm: ScriptedArm, planner: ScriptedArm) -> Task:
    """A task of which step 2 failed, and whose second plan goes on from step 1."""
    arm.behaviour = by_action(_2=fails("validation"))
    planner.behaviour = in_turn(
        plans(step(1), step(2, 1), step(3, 2)), plans(step(10, 1, action="Try 4"), step(11, 10))
    )
    return carried_out(worker, **PLANNED)


def test_a_step_that_fails_for_good_leads_to_another_plan(
    replanned: Task, planner: ScriptedArm
) -> None:
    assert (replanned.status, result(replanned)) == ("completed", "result of 11")
    assert len(planner.work) == 2
    assert steps("number", "state", role="execute") == [
        (1, "done"), (2, "failed"), (3, "cancelled"), (4, "done"), (5, "done"),
    ]  # fmt: skip
    assert [event.data["revision"] for event in Event.objects.filter(kind="plan")] == [1, 2]


def test_another_plan_is_told_what_is_done_and_what_failed(
    replanned: Task, planner: ScriptedArm
) -> None:
    planning = planner.work[1].json["context"]["planning"]
    assert planning["done"] == {"1": {"action": "Do part 1", "result": "result of 1"}}
    assert planning["failed"] == [{"action": "Do part 2", "failure": "arm_failed"}]
    assert "faults" not in planning


def test_what_is_done_is_not_done_again(replanned: Task, arm: ScriptedArm) -> None:
    goals = [contract(request)["goal"] for request in arm.work]
    assert goals == ["Do part 1", "Do part 2", "Try 4", "Do part 11"]
    assert contract(arm.work[2])["context"]["results"] == {"1": "result of 1"}
    assert len({*arm.keys}) == 4


def test_the_second_step_that_fails_leaves_a_part_of_the_result(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    arm.behaviour = by_action(_2=fails("validation"))
    planner.behaviour = plans(step(1), step(2, 1))
    task = carried_out(worker, **PLANNED)
    assert (task.status, failure(task), task.has_result) == ("failed", "arm_failed", True)
    assert result(task) == {"1": "result of 1", "3": "result of 1"}
    assert (len(planner.work), len(arm.work)) == (2, 4)


def test_what_an_arm_may_have_carried_out_goes_on_before_another_plan_is_made(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    Arm.objects.filter(name="helper").update(is_idempotent=True)
    arm.behaviour = by_action(_2=in_turn(closes(), works("late")), _1=fails("validation"))
    planner.behaviour = in_turn(plans(step(2), step(1), step(3, 1)), plans(step(4)))
    task = carried_out(worker, **PLANNED)
    assert steps("state", role="execute") == ["ready", "failed", "cancelled"]
    assert len(planner.work) == 1
    task = go_on(worker, task)
    assert planner.work[1].json["context"]["planning"]["done"]["1"]["result"] == "late"
    assert (task.status, result(task)) == ("completed", {"1": "late", "4": "result of 4"})
    assert len({*arm.keys}) == len(arm.keys) - 1
