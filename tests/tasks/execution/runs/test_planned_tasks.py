"""Planned tasks: which these are, what steps are given, their order, their arms, and the result."""

from typing import Any

import pytest

from tasks.execution.ringing import rank_again
from tasks.execution.runs.options import Planning, RunOptions
from tasks.models import Arm, Call, Event, Run, Step, Task
from tasks.states import Priority
from tests.arms import (
    ScriptedArm,
    fails,
    in_turn,
    judges,
    plans,
    says_status,
    step,
    succeeds,
)
from tests.factories import ClientFactory
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.conftest import Hand, register
from tests.tasks.execution.runs.carried_out import (
    PLANNED,
    begun,
    by_action,
    carried_out,
    contract,
    go_on,
    result,
    steps,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def answers_by_action(arm: ScriptedArm) -> None:
    arm.behaviour = by_action()


# What arms are given


def test_the_planner_sees_the_goal_and_what_it_may_plan_with(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    carried_out(worker, **PLANNED, goal="Sum up", context={"text": "Long"}, constraints=["Short"])
    [request] = planner.work
    assert request.path == "/plan"
    fields = request.json
    assert (fields["goal"], fields["constraints"]) == ("Sum up", ["Short"])
    assert fields["context"]["text"] == "Long"
    planning = fields["context"]["planning"]
    assert 590 < planning.pop("max_time_seconds") <= 600
    assert planning == {
        "arms": [{"name": "helper", "capabilities": ["execute"]}],
        "max_steps": 20,
        "acceptance_criteria": [],
    }


def test_a_step_is_given_its_action_the_goal_and_the_results_of_what_it_depends_on(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(
        step(1), step(2), step(3, 1, action="Put together 3", acceptance_criteria=["Short"])
    )
    carried_out(worker, **PLANNED, goal="Sum up", context={"text": "Long"})
    last = contract(arm.work[-1])
    assert (last["goal"], last["acceptance_criteria"]) == ("Put together 3", ["Short"])
    assert last["context"] == {
        "text": "Long",
        "task_goal": "Sum up",
        "results": {"1": "result of 1"},
    }
    assert contract(arm.work[0])["context"]["results"] == {}


def test_a_step_gets_results_by_the_numbers_it_was_given(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(50), step(70, 50), step(60, 70, 50))
    carried_out(worker, **PLANNED)
    assert contract(arm.work[2])["context"]["results"] == {
        "1": "result of 50",
        "2": "result of 70",
    }
    assert steps("action", role="execute") == ["Do part 50", "Do part 70", "Do part 60"]


# Order


def test_steps_begin_when_what_they_depend_on_is_done(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(4, 2, 3), step(3, 1), step(2, 1), step(1))
    task = carried_out(worker, **PLANNED)
    order = [contract(request)["goal"][-1] for request in arm.work]
    assert (order[0], {*order[1:3]}, order[3]) == ("1", {"2", "3"}, "4")
    assert (task.status, result(task)) == ("completed", "result of 4")


def test_at_most_four_steps_of_a_task_are_carried_out_side_by_side(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(*(step(number) for number in range(1, 8)))
    begun(**PLANNED)
    worker.work()
    claims = [worker.claims.claim_step(pk) for pk in steps("id", role="execute", state="ready")]
    assert len(claims) == 4
    assert steps("state", role="execute") == ["running"] * 4 + ["waiting"] * 3
    for pk in steps("id", state="waiting"):
        assert worker.claims.claim_step(pk) is None
    assert Call.objects.filter(ended_at=None).count() == 4


def test_a_step_that_ends_lets_one_more_begin(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(*(step(number) for number in range(1, 7)))
    begun(**PLANNED)
    worker.work()
    assert len(ringing()) == 4
    worker.carrier.carry_out_step(Step.objects.get(number=2).pk)
    assert steps("state", role="execute") == [
        "ready", "done", "ready", "ready", "ready", "waiting",
    ]  # fmt: skip


def test_steps_of_different_tasks_are_counted_by_themselves(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(*(step(number) for number in range(1, 7)))
    begun(**PLANNED)
    begun(**PLANNED)
    worker.work()
    assert len(ringing()) == 8


# The result


def test_the_result_of_a_plan_with_several_ends_is_an_object(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), step(2, 1), step(3, 1))
    task = carried_out(worker, **PLANNED)
    assert result(task) == {"2": "result of 2", "3": "result of 3"}
    assert task.status == "completed"


def test_the_confidence_is_that_of_the_weakest_answer(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    weak = succeeds("weak", provenance={"confidence": 0.3})
    planner.behaviour = plans(step(1), step(2))
    arm.behaviour = by_action(_2=weak)
    assert float(carried_out(worker, **PLANNED).results.get().confidence) == 0.3


def test_a_planned_task_has_these_events(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1))
    carried_out(worker, **PLANNED)
    assert [(event.kind, event.data.get("step")) for event in Event.objects.order_by("id")] == [
        ("status", None), ("run", None), ("claim", 0), ("call", 0), ("result", 0), ("plan", None),
        ("claim", 1), ("call", 1), ("result", 1), ("status", None),
    ]  # fmt: skip
    assert Event.objects.get(kind="plan").data == {"run": 1, "revision": 1, "steps": 1}


# Which arm


def test_a_step_goes_to_the_arm_that_the_plan_names(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    with ScriptedArm() as dear:
        register(dear, "dear", tier=9)
        planner.behaviour = plans(step(1), step(2, arm_id="dear"))
        carried_out(worker, **PLANNED)
        assert [contract(request)["goal"] for request in dear.work] == ["Do part 2"]
    assert [contract(request)["goal"] for request in arm.work] == ["Do part 1"]


def test_the_arm_that_a_task_is_assigned_to_carries_out_every_step(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    with ScriptedArm() as dear:
        register(dear, "dear", tier=9)
        planner.behaviour = plans(step(1), step(2, arm_id="helper"))
        task = carried_out(worker, **PLANNED, assigned_arm="dear")
        assert len(dear.work) == 2
    assert (arm.work, len(planner.work), task.status) == ([], 1, "completed")


def test_the_arm_that_plans_is_not_the_arm_of_the_task(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    begun(**PLANNED)
    worker.work()
    assert Task.objects.get().assigned_arm is None
    worker.work_until_idle()
    assert Task.objects.get().assigned_arm == "helper"


# Which tasks are planned


@pytest.mark.parametrize(
    ("fields", "planning", "is_planned"),
    [
        pytest.param({}, "auto", False, id="simple"),
        pytest.param({"priority": "high"}, "auto", True, id="high"),
        pytest.param({"priority": "critical"}, "auto", True, id="critical"),
        pytest.param({"goal": "x" * 400}, "auto", False, id="longest-simple-goal"),
        pytest.param({"goal": "x" * 401}, "auto", True, id="long-goal"),
        pytest.param({"constraints": ["x"] * 3}, "auto", False, id="three-constraints"),
        pytest.param({"constraints": ["x"] * 4}, "auto", True, id="four-constraints"),
        pytest.param({"acceptance_criteria": ["not empty"] * 3}, "auto", False, id="3-criteria"),
        pytest.param({"acceptance_criteria": ["not empty"] * 4}, "auto", True, id="4-criteria"),
        pytest.param({}, "all", True, id="simple-and-all-are-planned"),
        pytest.param({"priority": "critical"}, "none", False, id="critical-and-none-is-planned"),
    ],
)
def test_a_task_that_is_not_simple_is_planned(
    reflex_layer: ScriptedReflexLayer, arm: ScriptedArm, planner: ScriptedArm,
    fields: dict[str, Any], planning: str, *, is_planned: bool,
) -> None:  # fmt: skip
    worker = Hand(options=RunOptions(planning=Planning(planning)))
    assert carried_out(worker, **fields).status == "completed"
    assert bool(planner.work) == is_planned
    assert len(arm.work) == (2 if is_planned else 1)


def test_without_an_arm_that_plans_a_task_is_one_step(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    Arm.objects.filter(name="planner").update(is_enabled=False)
    task = carried_out(worker, **PLANNED, goal="Sum up")
    assert contract(arm.work[0])["goal"] == "Sum up"
    assert (task.status, planner.work) == ("completed", [])


def test_a_planner_that_is_down_parks_the_task(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    Arm.objects.filter(name="planner").update(health="down")
    task = carried_out(worker, **PLANNED)
    assert (task.status, steps("role", "waits_for")) == ("pending", [("plan", "arm")])
    Arm.objects.filter(name="planner").update(health="healthy")
    assert go_on(worker, task).status == "completed"


# Priority


def test_a_changed_priority_moves_what_waits(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(*(step(number) for number in range(1, 7)))
    task = begun(**PLANNED, client=ClientFactory())
    worker.work()
    other = begun(client=ClientFactory())
    Task.objects.filter(pk=task.pk).update(priority=Priority.LOW)
    rank_again([task.pk])
    assert ringing()[0][1] == str(other.pk)
    [rank] = {*steps("rank", role="execute", task=task)}
    assert rank < steps("rank", role="plan")[0]
    assert {*Step.objects.filter(state="waiting").values_list("rank", flat=True)} == {rank}


def test_a_run_that_ends_with_its_plan_does_not_bind_the_next_one_to_an_earlier_arm(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = in_turn(plans(step(1)), says_status("400 Bad Request"))
    arm.behaviour = fails("internal")
    task = carried_out(worker, **PLANNED)
    for _ in range(2):
        task.requeue()
        task = go_on(worker, task)
    assert task.assigned_arm == "helper"
    assert [*Run.objects.values_list("pinned_arm", flat=True)] == [None, None, None]


# Tasks that SQL has stored


def test_values_that_the_api_would_refuse_do_not_stop_a_task(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = judges(True)
    planner.behaviour = plans(step(1))
    odd = {"acceptance_criteria": [5, "It is kind"], "constraints": {"a": 1}, "context": ["Long"]}
    task = carried_out(worker, **PLANNED, **odd)
    assert (task.status, result(task)) == ("completed", "result of 1")
    assert judge.work[0].json["acceptance_criteria"] == ["5", "It is kind"]
    assert contract(arm.work[0])["context"]["context"] == ["Long"]
