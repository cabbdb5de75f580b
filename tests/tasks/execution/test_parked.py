"""Parking: a task that nobody can carry out now waits without a job, and is rung in its turn."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tasks.execution.parked import ring_parked
from tasks.execution.releasing import release, retry_now
from tasks.models import Arm, Budget, Call, Event, Run, Step, Task
from tasks.models.execution.arm import Pause
from tasks.states import Priority
from tests.arms import ScriptedArm, by_path, plans, says_status, step, works
from tests.factories import ClientFactory, TaskFactory
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.execution.bells import carry_out, ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand, register
from tests.tasks.execution.rules_that_hold import ring

pytestmark = pytest.mark.django_db


def parked_for() -> list[str | None]:
    return [*Step.objects.order_by("-rank").values_list("waits_for", flat=True)]


def begin(worker: Hand, **fields: object) -> Step:
    """Let a worker look at a new task; return its step."""
    task = TaskFactory(**fields)
    worker.carrier.carry_out_task(task.pk)
    return Step.objects.get(task=task)


def test_without_an_arm_a_task_is_parked_and_stays_pending(worker: Hand) -> None:
    step = begin(worker)
    assert (step.state, step.waits_for, step.waits_at) == ("ready", "arm", "")
    assert step.parked_at is not None
    assert Task.objects.get().status == "pending"
    assert not Call.objects.exists()
    assert not ringing()
    run = Run.objects.get()
    assert (run.started_at, run.ends_at) == (None, None)


def test_parking_is_an_event_once(worker: Hand) -> None:
    step = begin(worker)
    worker.carrier.carry_out_step(step.pk)
    event = Event.objects.get()
    assert (event.kind, event.data) == ("park", {"run": 1, "step": 1, "waits_for": "arm"})


def test_a_parked_step_waits_since_it_was_parked_first(worker: Hand) -> None:
    step = begin(worker)
    parked_at = step.parked_at
    worker.carrier.carry_out_step(step.pk)
    assert Step.objects.get().parked_at == parked_at


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"is_enabled": False}, id="disabled"),
        pytest.param({"health": "down"}, id="down"),
        pytest.param({"health": "misconfigured"}, id="misconfigured"),
        pytest.param({"capabilities": ["plan"]}, id="another-capability"),
    ],
)
def test_an_arm_that_cannot_take_it_now_parks_the_task(
    worker: Hand, arm: ScriptedArm, fields: dict[str, object]
) -> None:
    Arm.objects.update(**fields)
    assert begin(worker).waits_for == "arm"
    worker.housekeeping.tick()
    assert not ringing()


def test_an_arm_that_comes_back_rings_what_waits_for_it(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(health="down")
    step = begin(worker)
    Arm.objects.update(health="healthy")
    ring_parked(arm="helper")
    assert ringing() == [carry_out(step.pk)]
    worker.work()
    assert Task.objects.get().status == "completed"


def test_without_room_a_task_is_parked(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(room=1)
    first = TaskFactory()
    worker.claims.claim_task(first.pk)
    assert begin(worker).waits_for == "room"
    worker.housekeeping.tick()
    assert not ringing()


def test_a_place_that_is_free_again_rings_the_highest_rank(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(room=1)
    client = ClientFactory()
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    low = begin(worker, client=client, priority=Priority.LOW)
    high = begin(worker, client=client, priority=Priority.HIGH)
    medium = begin(worker, client=client, priority=Priority.MEDIUM)
    Task.objects.filter(pk=claimed.task_id).get().cancel()
    for parked in (high, medium, low):
        ring_parked(arm="helper")
        assert ringing() == [carry_out(parked.pk)]
        worker.work()
        assert Task.objects.get(pk=parked.task_id).status == "completed"


def test_as_many_are_rung_as_there_are_places(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(is_enabled=False, room=2)
    for _ in range(5):
        begin(worker)
    Arm.objects.update(is_enabled=True)
    ring_parked()
    assert len(ringing()) == 2


def test_a_call_that_ends_rings_the_next_at_once(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(is_enabled=False, room=1)
    first, second = begin(worker), begin(worker)
    Arm.objects.update(is_enabled=True)
    worker.carrier.carry_out_step(first.pk)
    assert ringing() == [carry_out(second.pk)]


def test_what_is_rung_stays_parked_until_it_is_claimed(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(is_enabled=False)
    begin(worker)
    Arm.objects.update(is_enabled=True)
    ring_parked()
    ring_parked()
    assert len(ringing()) == 1
    assert parked_for() == ["arm"]


def test_a_pause_parks_and_its_end_rings(worker: Hand, arm: ScriptedArm) -> None:
    Pause.objects.begin(actor="ann", reason="Too expensive")
    step = begin(worker)
    assert step.waits_for == "resume"
    worker.housekeeping.tick()
    assert not ringing()
    Pause.objects.end(actor="ann")
    worker.housekeeping.tick()
    assert ringing() == [carry_out(step.pk)]
    worker.work()
    assert Task.objects.get().status == "completed"


def test_a_pause_leaves_the_calls_that_go_on_alone(worker: Hand, arm: ScriptedArm) -> None:
    claimed = worker.claims.claim_task(TaskFactory().pk)
    Pause.objects.begin(actor="ann", reason="Too expensive")
    assert claimed is not None
    assert Call.objects.filter(ended_at=None).exists()


def test_what_waits_for_its_release_is_claimed_by_nobody(worker: Hand, arm: ScriptedArm) -> None:
    step = begin_before_there_were_workers(worker)
    worker.carrier.carry_out_step(step.pk)
    worker.housekeeping.tick()
    assert not ringing()
    assert Task.objects.get().status == "pending"


def test_a_release_lets_a_task_begin(worker: Hand, arm: ScriptedArm) -> None:
    step = begin_before_there_were_workers(worker)
    assert release([step.task_id], actor="ann", reason="Still wanted") == {step.task_id}
    assert ringing() == [carry_out(step.pk)]
    worker.work()
    assert Task.objects.get().status == "completed"
    event = Event.objects.get(kind="release")
    assert (event.actor, event.actor_kind, event.reason) == ("ann", "staff", "Still wanted")


def test_a_release_leaves_other_tasks_alone(worker: Hand) -> None:
    step = begin(worker)
    assert release([step.task_id], actor="ann", reason="") == set()


def begin_before_there_were_workers(worker: Hand) -> Step:
    """Return the step of a task as the migration has left it."""
    Arm.objects.update(is_enabled=False)
    step = begin(worker)
    Arm.objects.update(is_enabled=True)
    Step.objects.update(waits_for="release")
    return step


def test_a_step_that_waits_for_its_next_call_can_be_tried_at_once(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = says_status("503 Service Unavailable", retry_after="600")
    step = begin(worker, max_time_seconds=3600)
    assert retry_now([step.task_id], actor="ann", reason="") == {step.task_id}
    assert ringing() == [carry_out(step.pk)]
    worker.work()
    assert Call.objects.count() == 2


def test_parked_time_is_not_time_of_the_run(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("401 Unauthorized")
    step = begin(worker, max_time_seconds=60)
    advance(3600)
    worker.reconcile()
    assert Task.objects.get().status == "processing"
    Arm.objects.get().enable()
    claimed = worker.claims.claim_step(step.pk)
    assert claimed is not None
    assert 50 < claimed.run_seconds_left <= 60
    assert Run.objects.get().ends_at > timezone.now() + timedelta(seconds=50)


def test_the_budget_of_the_day_parks_what_would_go_beyond(
    reflex_layer: ScriptedReflexLayer, arm: ScriptedArm
) -> None:
    worker = Hand(max_cost_usd_per_day=Decimal("1.5"))
    worker.claims.claim_task(TaskFactory(max_cost_usd=1).pk)
    assert begin(worker, max_cost_usd=1).waits_for == "budget"
    assert begin(worker, max_cost_usd="0.5").waits_for is None
    day = Budget.objects.get(day__isnull=False)
    assert (day.reserved_tokens, day.spent_tokens) == (10_000, 30)
    assert (day.reserved_usd, day.spent_usd) == (Decimal(1), Decimal("0.0125"))


def test_what_waits_for_the_budget_of_the_day_goes_on_the_next_day(
    reflex_layer: ScriptedReflexLayer, arm: ScriptedArm
) -> None:
    worker = Hand(max_cost_usd_per_day=Decimal(1))
    worker.claims.claim_task(TaskFactory(max_cost_usd=1).pk)
    step = begin(worker, max_cost_usd=1)
    worker.housekeeping.tick()
    assert not ringing()
    yesterday = timezone.now().date() - timedelta(days=1)
    Budget.objects.filter(day__isnull=False).update(day=yesterday)
    Call.objects.update(day=yesterday)
    # It is rung now and then only: what is left of a day may be too little for the next one.
    Hand(max_cost_usd_per_day=Decimal(1)).housekeeping.tick()
    assert ringing() == [carry_out(step.pk)]
    worker.work()
    assert Task.objects.get(pk=step.task_id).status == "completed"


def test_without_a_limit_nothing_waits_for_the_budget_of_the_day(
    worker: Hand, arm: ScriptedArm
) -> None:
    step = begin_before_there_were_workers(worker)
    Step.objects.update(waits_for="budget")
    worker.housekeeping.tick()
    assert ringing() == [carry_out(step.pk)]


def test_what_is_parked_can_be_cancelled(worker: Hand) -> None:
    step = begin(worker)
    Task.objects.get().cancel()
    step.refresh_from_db()
    assert (step.state, step.waits_for, step.parked_at) == ("cancelled", None, None)
    assert Run.objects.get().ended_at is not None


def test_a_pinned_task_waits_for_its_own_arm(worker: Hand, arm: ScriptedArm) -> None:
    with ScriptedArm() as another:
        register(another, "another", is_enabled=False)
        step = begin(worker, assigned_arm="another")
        assert (step.waits_for, step.waits_at) == ("arm", "another")
        ring_parked(arm="helper")
        assert not ringing()
        Arm.objects.update(is_enabled=True)
        ring_parked(arm="another")
        worker.work()
        assert len(another.work) == 1


# Runs of several steps


@pytest.fixture
def planned(worker: Hand, arm: ScriptedArm) -> Iterator[Task]:
    """A task whose plan has two steps, of which the second is parked for an arm of its own."""
    with ScriptedArm() as special:
        register(special, "special")
        arm.behaviour = by_path(
            plan=plans(step(1, arm_id="helper"), step(2, arm_id="special")), execute=works()
        )
        Arm.objects.filter(name="helper").update(capabilities=["plan", "execute"])
        task = TaskFactory(priority="high", max_time_seconds=60)
        ring(task)
        worker.work()
        Arm.objects.filter(name="special").update(health="down")
        worker.carrier.carry_out_step(Step.objects.get(number=2).pk)
        yield task


def test_the_time_of_a_run_goes_on_while_one_of_its_steps_can_go_on(
    worker: Hand, planned: Task
) -> None:
    assert Step.objects.get(number=2).waits_for == "arm"
    assert Run.objects.get().parked_at is None
    advance(100)
    worker.reconcile()
    planned.refresh_from_db()
    assert (planned.status, Run.objects.get().failure_code) == ("failed", "timed_out")


def test_the_time_of_a_run_stands_still_when_the_last_step_that_could_go_on_has_ended(
    worker: Hand, planned: Task
) -> None:
    advance(20)
    worker.carrier.carry_out_step(Step.objects.get(number=1).pk)
    assert Run.objects.get().parked_at is not None
    advance(3600)
    worker.reconcile()
    planned.refresh_from_db()
    assert planned.status == "processing"
    Arm.objects.update(health="healthy")
    claimed = worker.claims.claim_step(Step.objects.get(number=2).pk)
    assert claimed is not None
    assert 35 < claimed.run_seconds_left <= 40
    assert Run.objects.get().parked_at is None


def test_a_run_that_was_parked_as_a_whole_goes_on_with_each_of_its_steps(
    worker: Hand, planned: Task
) -> None:
    first, second = Step.objects.filter(role="execute")
    Arm.objects.update(health="down")
    worker.carrier.carry_out_step(first.pk)
    assert Run.objects.get().parked_at is not None
    advance(3600)
    Arm.objects.update(health="healthy")
    worker.housekeeping.tick()
    assert {*ringing()} == {carry_out(first.pk), carry_out(second.pk)}
    worker.work_until_idle()
    planned.refresh_from_db()
    assert planned.status == "completed"


def test_a_step_that_waits_for_others_has_no_bell(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = by_path(plan=plans(step(1), step(2, 1)), execute=works())
    Arm.objects.update(capabilities=["plan", "execute"])
    ring(TaskFactory(priority="high"))
    worker.work()
    waiting = Step.objects.get(state="waiting")
    worker.housekeeping.tick()
    advance(60)
    worker.reconcile()
    assert ringing() == [carry_out(Step.objects.get(number=1).pk)]
    worker.carrier.carry_out_step(waiting.pk)
    assert Step.objects.get(pk=waiting.pk).state == "waiting"


def test_a_check_that_waits_for_its_judge_keeps_nothing_waiting_at_the_author(
    worker: Hand, arm: ScriptedArm
) -> None:
    # The author can judge, too, but not its own result, which is the first in line.
    Arm.objects.update(capabilities=["execute", "validate"], room=1)
    with ScriptedArm() as judge:
        register(judge, "judge", capabilities=["validate"], health="down")
        checked = TaskFactory(acceptance_criteria=["The tone is polite"])
        ring(checked)
        worker.work_until_idle()
        assert Step.objects.get(role="judge").waits_for == "arm"
        claimed = worker.claims.claim_task(TaskFactory().pk)
        assert claimed is not None
        low = begin(worker, priority=Priority.LOW)
        Task.objects.get(pk=claimed.task_id).cancel()
        worker.housekeeping.tick()
        assert ringing() == [carry_out(low.pk)]
