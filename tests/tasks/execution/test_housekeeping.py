"""What a worker does every second: wake steps, have arms checked, renew leases."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tasks.execution.worker.checks import Checks
from tasks.models import Arm, Attempt, Step, Worker
from tests.arms import ScriptedArm, says, says_status
from tests.factories import TaskFactory
from tests.tasks.execution.bells import carry_out, ringing, silence
from tests.tasks.execution.clock import advance, let_leases_run_out
from tests.tasks.execution.conftest import Hand, adapter_of
from tests.tasks.execution.side_by_side import Beside, rows_locked

pytestmark = pytest.mark.django_db


@pytest.fixture
def checks(worker: Hand) -> Checks:
    return Checks(adapter_of=adapter_of)


def test_a_step_is_woken_when_its_time_has_come(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable", retry_after="60")
    worker.carrier.carry_out_task(TaskFactory().pk)
    step = Step.objects.get()
    worker.housekeeping.tick()
    assert not ringing()
    advance(60)
    worker.housekeeping.tick()
    assert ringing() == [carry_out(step.pk)]
    assert Step.objects.get().wake_at is None


def test_at_most_a_hundred_steps_are_woken_at_once(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    Arm.objects.update(room=200)
    for _ in range(101):
        worker.claims.claim_task(TaskFactory().pk)
    Attempt.objects.update(ended_at=timezone.now(), outcome="retried")
    Step.objects.update(state="ready", wake_at=timezone.now() - timedelta(seconds=1))
    worker.housekeeping.tick()
    assert Step.objects.filter(wake_at=None).count() == 100


def test_each_arm_is_checked_every_fifteen_seconds(worker: Hand, arm: ScriptedArm) -> None:
    worker.housekeeping.tick()
    assert ringing("staff") == [("check_arm", "arm:helper")]
    silence()
    worker.housekeeping.tick()
    assert not ringing("staff")
    Arm.objects.update(checked_at=timezone.now() - timedelta(seconds=16))
    worker.housekeeping.tick()
    assert ringing("staff") == [("check_arm", "arm:helper")]


@pytest.mark.parametrize("fields", [{"is_enabled": False}, {"health": "misconfigured"}])
def test_an_arm_that_gets_no_calls_is_not_checked(
    worker: Hand, arm: ScriptedArm, fields: dict[str, object]
) -> None:
    Arm.objects.update(**fields)
    worker.housekeeping.tick()
    assert not ringing("staff")


def test_a_check_stores_what_the_arm_says(checks: Checks, arm: ScriptedArm) -> None:
    assert not checks.check("helper")
    assert Arm.objects.get().health == "healthy"
    arm.health = says_status("500 Internal Server Error")
    assert not checks.check("helper")
    assert Arm.objects.get().health == "down"
    arm.health = says({"status": "degraded"})
    assert checks.check("helper")
    assert Arm.objects.get().health == "degraded"


def test_a_check_leaves_what_staff_have_to_look_at(checks: Checks, arm: ScriptedArm) -> None:
    Arm.objects.update(health="misconfigured")
    checks.check("helper")
    assert Arm.objects.get().health == "misconfigured"


def test_an_arm_that_is_not_registered_is_not_checked(checks: Checks) -> None:
    assert not checks.check("nobody")


def test_leases_are_renewed_together(worker: Hand, arm: ScriptedArm) -> None:
    claims = [worker.claims.claim_task(TaskFactory().pk) for _ in range(2)]
    let_leases_run_out()
    ids = [claimed.attempt_id for claimed in claims if claimed is not None]
    with worker.leases.held(ids[0]), worker.leases.held(ids[1]):
        assert worker.leases.count == 2
        worker.leases.check(renews=True)
    assert worker.leases.count == 0
    for lease_until in Attempt.objects.values_list("lease_until", flat=True):
        assert timedelta(seconds=18) < lease_until - timezone.now() <= timedelta(seconds=20)


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_is_just_being_ended_keeps_no_lease_from_being_renewed(
    worker: Hand, arm: ScriptedArm
) -> None:
    claims = [worker.claims.claim_task(TaskFactory().pk) for _ in range(2)]
    let_leases_run_out()
    locked, other = (claimed.attempt_id for claimed in claims if claimed is not None)
    lock = f"SELECT FROM attempts WHERE id = {locked} FOR NO KEY UPDATE"
    with worker.leases.held(locked) as holding, worker.leases.held(other), rows_locked(lock):
        check = Beside(lambda: worker.leases.check(renews=True))
        check.finish()
        assert not holding.is_dead
    assert Attempt.objects.get(pk=other).lease_until > timezone.now()
    assert Attempt.objects.get(pk=locked).lease_until < timezone.now()


def test_a_look_between_two_renewals_renews_nothing(worker: Hand, arm: ScriptedArm) -> None:
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    let_leases_run_out()
    with worker.leases.held(claimed.attempt_id) as holding:
        worker.leases.check(renews=False)
        assert not holding.is_dead
    assert Attempt.objects.get().lease_until < timezone.now()


def test_leases_that_are_given_back_may_be_taken_over_at_once(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(is_idempotent=True)
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    with worker.leases.held(claimed.attempt_id):
        assert worker.leases.give_back() == 1
    assert other_worker.claims.claim_step(claimed.step_id) is not None


def test_a_renewal_is_a_sign_of_life(worker: Hand) -> None:
    row = Worker.objects.create(
        pk=worker.id, machine="m", process=1, version="1", concurrency=1,
        seen_at=timezone.now() - timedelta(minutes=1),
    )  # fmt: skip
    worker.leases.check(renews=True)
    row.refresh_from_db()
    assert timezone.now() - row.seen_at < timedelta(seconds=5)
    assert Worker.objects.alive().get() == row
