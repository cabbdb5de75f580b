"""Runs that wait: for what they may have, and no longer than they have to."""

from collections.abc import Iterator

import pytest

from tasks.execution.parked import ring_parked
from tasks.execution.runs.options import Planning, RunOptions
from tasks.models import Arm, Run, Step, Task
from tests.arms import (
    Received,
    ScriptedArm,
    by_path,
    closes,
    completes,
    fails,
    in_turn,
    judges,
    plans,
    step,
    works,
)
from tests.factories import TaskFactory
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance, let_leases_run_out
from tests.tasks.execution.conftest import Hand, register

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("old_server")]

POLITE = "It is polite"


@pytest.fixture
def planning(reflex_layer: ScriptedReflexLayer) -> Hand:
    """A worker that has plans made for all tasks."""
    return Hand(options=RunOptions(planning=Planning.ALL))


@pytest.fixture
def judge() -> Iterator[ScriptedArm]:
    with ScriptedArm() as scripted:
        scripted.behaviour = judges(True)
        register(scripted, "judge", capabilities=["validate"])
        yield scripted


# Calls that are repeated


def test_a_plan_that_used_up_its_share_with_a_lost_worker_is_asked_for_again(
    planning: Hand, model: ScriptedArm
) -> None:
    Arm.objects.update(capabilities=["plan", "execute"])
    model.behaviour = completes(
        '{"steps": [{"step_number": 1, "action": "Sort"}], "confidence": 0.9}'
    )
    planning.claims.claim_task(TaskFactory().pk)
    let_leases_run_out()
    planning.carrier.carry_out_step(Step.objects.get().pk)
    assert [*Step.objects.values_list("role", "state")] == [
        ("plan", "done"),
        ("execute", "ready"),
    ]


def test_another_plan_waits_until_it_is_known_what_became_of_a_step(
    planning: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(capabilities=["plan", "execute"], is_idempotent=True)
    first = in_turn(closes(), works())

    def executes(request: Received, connection: object) -> bool:
        is_first = request.json["task_contract"]["goal"] == "Do part 1"
        return (first if is_first else fails())(request, connection)  # type: ignore[arg-type]

    arm.behaviour = by_path(plan=plans(step(1), step(2), step(3)), execute=executes)
    planning.carrier.carry_out_task(TaskFactory().pk)
    planning.work()
    states = Step.objects.filter(role="execute").values_list("number", "state")
    assert [*states] == [(1, "ready"), (2, "failed"), (3, "cancelled")]
    assert Step.objects.filter(role="plan").count() == 1
    advance(2)
    planning.housekeeping.tick()
    planning.work()
    assert Step.objects.get(number=1).state == "done"
    assert Step.objects.get(role="plan", revision=2).depends_on == [1]


# Judges


def test_a_parked_judge_learns_that_no_arm_judges_any_more(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    Arm.objects.filter(name="judge").update(health="down")
    worker.carrier.carry_out_task(TaskFactory(acceptance_criteria=[POLITE]).pk)
    worker.work_until_idle()
    assert Step.objects.get(role="judge").waits_for == "arm"
    worker.reconcile()
    assert ringing() == []
    Arm.objects.get(name="judge").disable()
    worker.reconcile()
    worker.work_until_idle()
    assert Task.objects.get().status == "completed"
    assert [one["verdict"] for one in Run.objects.get().verdicts] == ["undecided"]


def test_an_arm_is_not_rung_for_what_it_may_not_judge(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    Arm.objects.filter(name="helper").update(capabilities=["execute", "validate"])
    Arm.objects.filter(name="judge").update(health="down")
    worker.carrier.carry_out_task(TaskFactory(acceptance_criteria=[POLITE]).pk)
    worker.work_until_idle()
    assert ring_parked() == 0
    Arm.objects.filter(name="judge").update(health="healthy")
    assert ring_parked() == 1
