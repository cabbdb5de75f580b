"""The reconciler: each kind of lost work is found, and what is not lost is left alone."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tasks.execution import bells
from tasks.execution.claiming.claims import Claimed
from tasks.execution.worker import recovery
from tasks.execution.worker.recovery import Reconciler
from tasks.models import Attempt, Run, Step, Task
from tasks.models.action import Action
from tests.arms import ScriptedArm, says_status
from tests.factories import TaskFactory
from tests.tasks.execution.bells import begin, carry_out, ringing, silence
from tests.tasks.execution.clock import advance, let_leases_run_out
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.counters import counters

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("old_server")]


@pytest.fixture
def claimed(worker: Hand, arm: ScriptedArm) -> Claimed:
    claim = worker.claims.claim_task(TaskFactory().pk)
    assert claim is not None
    return claim


def job(status: str, *, lock: str, name: str = bells.BEGIN, worker_id: int | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs"
            " (queue_name, task_name, queueing_lock, args, status, worker_id)"
            " VALUES ('tasks', %s, %s, jsonb_build_object('task', %s::text), %s, %s)",
            [name, lock, lock, status, worker_id],
        )


def inner_worker(*, heartbeat_before: timedelta) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s) RETURNING id",
            [timezone.now() - heartbeat_before],
        )
        return int(cursor.fetchone()[0])


def test_nothing_is_found_where_nothing_is_lost(worker: Hand, claimed: Claimed) -> None:
    assert worker.reconcile() == {}
    assert not ringing()


def test_an_expired_lease_is_rung(worker: Hand, claimed: Claimed) -> None:
    let_leases_run_out()
    assert worker.reconcile() == {"expired_lease": 1}
    assert ringing() == [carry_out(claimed.step_id)]


def test_what_rings_already_is_not_found_again(worker: Hand, claimed: Claimed) -> None:
    let_leases_run_out()
    worker.reconcile()
    assert worker.reconcile() == {}


def test_a_reconciler_that_was_away_leaves_leases_alone(worker: Hand, claimed: Claimed) -> None:
    # Their workers were cut off too, and get the time to renew them.
    let_leases_run_out()
    reconciler = Reconciler()
    for now in (100, 105, 109.9, 130, 135, 139.9):
        assert not any(reconciler.reconcile(now=now).values())
    assert reconciler.reconcile(now=140)["expired_lease"] == 1


def test_a_reconciler_that_was_away_leaves_bells_alone(worker: Hand) -> None:
    # Without heartbeats for a minute, the inner workers seem dead, and are not.
    task = TaskFactory()
    job("doing", lock=str(task.pk))
    reconciler = Reconciler()
    assert not any(reconciler.reconcile(now=100).values())
    reconciler.reconcile(now=105)
    assert reconciler.reconcile(now=110)["dead_bell"] == 1


def test_one_look_that_comes_a_little_late_is_no_absence(worker: Hand, claimed: Claimed) -> None:
    let_leases_run_out()
    reconciler = Reconciler()
    for now in (100, 105):
        reconciler.reconcile(now=now)
    assert reconciler.reconcile(now=114)["expired_lease"] == 1


def test_after_a_restart_of_the_server_leases_are_left_alone(
    worker: Hand, claimed: Claimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_leases_run_out()
    monkeypatch.setattr(recovery, "_IS_QUIET", "SELECT true")
    assert worker.reconcile() == {}


def test_a_ready_step_without_a_bell_is_rung(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    worker.carrier.carry_out_task(TaskFactory().pk)
    Step.objects.update(wake_at=None)
    assert worker.reconcile() == {"ready_step": 1}
    assert ringing() == [carry_out(Step.objects.get().pk)]


def test_steps_that_wait_or_are_parked_are_not_rung(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    worker.carrier.carry_out_task(TaskFactory().pk)
    arm.behaviour = says_status("401 Unauthorized")
    worker.carrier.carry_out_task(TaskFactory().pk)
    assert {step.wake_at is None for step in Step.objects.all()} == {True, False}
    assert worker.reconcile() == {}


def test_long_lists_are_looked_through_in_parts(
    worker: Hand, arm: ScriptedArm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BATCH", 2)
    arm.behaviour = says_status("503 Service Unavailable")
    for _ in range(5):
        worker.carrier.carry_out_task(TaskFactory().pk)
    Step.objects.update(wake_at=None)
    assert [worker.reconcile().get("ready_step") for _ in range(4)] == [2, 2, 1, None]
    assert len(ringing()) == 5


def test_a_pending_task_without_a_bell_is_rung(worker: Hand) -> None:
    task = TaskFactory()
    advance(11)
    assert worker.reconcile() == {"pending_task": 1}
    assert ringing() == [begin(task.pk)]


def test_a_task_that_was_just_submitted_is_left_alone(worker: Hand) -> None:
    TaskFactory()
    assert worker.reconcile() == {}


def test_pending_tasks_of_one_moment_are_all_rung(
    worker: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an INSERT of many rows makes them; while they are parked, they stay pending.
    monkeypatch.setattr(recovery, "BATCH", 2)
    for _ in range(5):
        TaskFactory()
    Task.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    for _ in range(6):
        worker.reconcile()
        worker.work()
    assert Step.objects.filter(waits_for="arm").count() == 5


def test_a_running_step_without_an_attempt_is_made_ready(worker: Hand, claimed: Claimed) -> None:
    Attempt.objects.update(ended_at=timezone.now(), outcome="lost")
    assert worker.reconcile() == {"orphaned_step": 1}
    assert Step.objects.get().state == "ready"
    assert ringing() == [carry_out(claimed.step_id)]


def test_a_run_whose_time_is_over_while_it_waits_times_out(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    worker.carrier.carry_out_task(TaskFactory(max_time_seconds=60).pk)
    advance(71)
    assert worker.reconcile() == {"time_over": 1}
    assert Run.objects.get().failure_code == "timed_out"
    assert Task.objects.get().status == "failed"


def test_a_run_that_cannot_be_ended_does_not_keep_others_from_their_end(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    spoilt, other = (TaskFactory(max_time_seconds=60) for _ in range(2))
    for task in (spoilt, other):
        worker.carrier.carry_out_task(task.pk)
    Run.objects.filter(task=spoilt).update(verdicts=[{"verdict": "of SQL"}])
    advance(71)
    assert worker.reconcile() == {"time_over": 2}
    assert [*Run.objects.values_list("failure_code", flat=True).order_by("id")] == [
        None,
        "timed_out",
    ]


def test_a_run_that_is_parked_does_not_time_out(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("401 Unauthorized")
    worker.carrier.carry_out_task(TaskFactory(max_time_seconds=60).pk)
    advance(1_000)
    assert worker.reconcile() == {}
    assert Task.objects.get().status == "processing"


def test_a_bell_that_died_with_its_worker_rings_again(worker: Hand) -> None:
    task = TaskFactory()
    dead = inner_worker(heartbeat_before=timedelta(seconds=61))
    job("doing", lock=str(task.pk), worker_id=dead)
    assert worker.reconcile() == {"dead_bell": 1}
    assert ringing() == [begin(task.pk)]


def test_a_bell_of_a_worker_that_is_gone_rings_again(worker: Hand) -> None:
    task = TaskFactory()
    job("doing", lock=str(task.pk))
    assert worker.reconcile() == {"dead_bell": 1}
    assert ringing() == [begin(task.pk)]


def test_a_bell_of_a_living_worker_is_left_alone(worker: Hand) -> None:
    task = TaskFactory()
    job("doing", lock=str(task.pk), worker_id=inner_worker(heartbeat_before=timedelta(seconds=9)))
    assert worker.reconcile() == {}


def test_a_bell_that_rings_anew_already_does_not_disturb(worker: Hand) -> None:
    task = TaskFactory()
    job("doing", lock=str(task.pk))
    job("todo", lock=str(task.pk))
    worker.reconcile()
    assert ringing() == [begin(task.pk)]


def test_an_action_that_stands_still_is_rung(worker: Hand) -> None:
    action = Action.objects.create(verb="cancel", actor="ann", task_ids=[TaskFactory().pk])
    action.confirm("Because")
    Action.objects.update(confirmed_at=timezone.now() - timedelta(seconds=11))
    assert worker.reconcile() == {"action": 1}
    assert ringing("staff") == [("act", str(action.pk))]


def test_what_was_found_is_counted(worker: Hand, claimed: Claimed) -> None:
    let_leases_run_out()
    worker.reconcile()
    silence()
    worker.reconcile()
    assert counters("reconciled") == {("expired_lease",): 2}


def test_the_step_of_a_task_that_ended_otherwise_ends_with_it(
    worker: Hand, claimed: Claimed
) -> None:
    # By code of an earlier version, or by SQL.
    Task.objects.update(status="failed")
    let_leases_run_out()
    worker.reconcile()
    worker.work()
    assert Step.objects.get().state == "cancelled"
    assert Run.objects.get().ended_at is not None
    assert worker.reconcile() == {}
