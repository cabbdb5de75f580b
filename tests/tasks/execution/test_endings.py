"""A task that ends while a worker has it: late writes change nothing, and the call is closed."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from django.forms.models import model_to_dict

from tasks.arms.exceptions import OutcomeUnknown, Refused
from tasks.changes import ActorKind
from tasks.execution.claiming.claims import Claimed
from tasks.execution.concluding import Conclusion, EndedCall, conclude, end_call
from tasks.execution.failures import FailureCode
from tasks.execution.following import conclusion_after, done, failed
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.models import Arm, Attempt, Budget, Call, Count, Event, Run, Step, Task, TaskResult
from tasks.services import cancel_task
from tasks.states import StepState, TaskVerdict
from tests.arms import Held, ScriptedArm, hangs, succeeds
from tests.factories import TaskFactory
from tests.tasks.execution.clock import let_leases_run_out
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.counters import counters
from tests.tasks.execution.side_by_side import Beside
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = (Task, Run, Step, Attempt, Call, Budget, TaskResult, Event, Count)
CANCEL_SECONDS = 2.0


def everything() -> list[list[dict[str, Any]]]:
    """Return all rows that carrying out may change."""
    return [[*table.objects.order_by("pk").values()] for table in TABLES]


@pytest.fixture
def claimed(worker: Hand, arm: ScriptedArm) -> Claimed:
    claim = worker.claims.claim_task(TaskFactory().pk)
    assert claim is not None
    return claim


def late_writes(claimed: Claimed) -> dict[str, Conclusion]:
    succeeded = EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, tokens=5, cost_usd=None)
    return {
        "done": done(claimed, succeeded, {"late": True}, 0.5, TaskVerdict.SAFE),
        "failed": failed(claimed, succeeded, FailureCode.ARM_FAILED),
        "retried": conclusion_after(Refused("later", is_retryable=True), claimed, 100),
        "unknown": conclusion_after(OutcomeUnknown("closed"), claimed, 100),
    }


WRITES = ("done", "failed", "retried", "unknown")


@pytest.mark.parametrize("write", WRITES)
def test_a_late_write_after_a_takeover_changes_nothing(
    worker: Hand, other_worker: Hand, claimed: Claimed, write: str
) -> None:
    Arm.objects.update(is_idempotent=True)
    let_leases_run_out()
    assert other_worker.claims.claim_step(claimed.step_id) is not None
    before = everything()
    assert conclude(late_writes(claimed)[write]) is None
    assert everything() == before


@pytest.mark.parametrize("write", WRITES)
def test_a_late_write_after_a_cancel_changes_nothing(claimed: Claimed, write: str) -> None:
    Task.objects.get().cancel()
    before = everything()
    assert conclude(late_writes(claimed)[write]) is None
    assert everything() == before


@pytest.mark.parametrize("write", WRITES)
def test_a_late_write_after_a_requeue_changes_nothing(
    other_worker: Hand, claimed: Claimed, write: str
) -> None:
    let_leases_run_out()
    other_worker.carrier.carry_out_step(claimed.step_id)
    Task.objects.get().requeue()
    before = everything()
    assert conclude(late_writes(claimed)[write]) is None
    assert everything() == before


@pytest.mark.parametrize("write", WRITES)
def test_a_second_write_changes_nothing(claimed: Claimed, write: str) -> None:
    assert conclude(late_writes(claimed)["done"]) is not None
    before = everything()
    assert conclude(late_writes(claimed)[write]) is None
    assert everything() == before


def test_a_late_end_of_a_call_changes_nothing(
    worker: Hand, other_worker: Hand, claimed: Claimed
) -> None:
    Arm.objects.update(is_idempotent=True)
    let_leases_run_out()
    assert other_worker.claims.claim_step(claimed.step_id) is not None
    before = everything()
    ended = EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, tokens=5)
    late = Conclusion(
        claimed.task_id, claimed.step_id, StepState.RUNNING, claimed.attempt_id, call=ended
    )
    assert not end_call(late)
    assert everything() == before


def test_a_worker_whose_lease_ran_out_may_write_until_another_has_taken_over(
    claimed: Claimed,
) -> None:
    let_leases_run_out()
    assert conclude(late_writes(claimed)["done"]) is not None
    assert Task.objects.get().status == "completed"


def test_an_expired_lease_may_be_renewed_until_another_has_taken_over(
    worker: Hand, other_worker: Hand, claimed: Claimed
) -> None:
    let_leases_run_out()
    with worker.leases.held(claimed.attempt_id) as holding:
        worker.leases.check(renews=True)
        assert not holding.is_dead
    assert other_worker.claims.claim_step(claimed.step_id) is None


def test_a_write_of_another_attempt_changes_nothing(claimed: Claimed) -> None:
    before = everything()
    stranger = replace(claimed, attempt_id=claimed.attempt_id + 1)
    assert conclude(late_writes(stranger)["done"]) is None
    assert everything() == before


# Cancelling


def test_a_cancel_ends_everything_of_the_run(claimed: Claimed) -> None:
    Task.objects.get().cancel()
    assert Step.objects.get().state == "cancelled"
    assert Attempt.objects.get().outcome == AttemptOutcome.CANCELLED
    call = Call.objects.get()
    assert (call.outcome, call.is_estimated) == (CallOutcome.UNKNOWN, True)
    run = Run.objects.get()
    assert (run.failure_code, run.ended_at is None) == (None, False)
    assert Budget.objects.get().reserved_tokens == 0
    assert counters("tasks") == {("processing",): 1, ("cancelled",): 1}
    assert counters("attempts") == {("cancelled",): 1}
    assert counters("arm_calls") == {("helper", "unknown"): 1}


def test_a_cancel_frees_the_place_at_the_arm(worker: Hand, claimed: Claimed) -> None:
    Arm.objects.update(room=1)
    Task.objects.get().cancel()
    assert worker.claims.claim_task(TaskFactory().pk) is not None


def test_a_cancel_closes_the_socket_to_the_arm(worker: Hand, arm: ScriptedArm) -> None:
    closed = threading.Event()

    def waits(request: Any, connection: Any) -> bool:
        hangs()(request, connection)
        closed.set()
        return False

    arm.behaviour = waits
    task = TaskFactory()
    worker.leases.start()
    calling = Beside(lambda: worker.carrier.carry_out_task(task.pk))
    wait_until(lambda: arm.work)
    cancel_task(task.pk)
    cancelled_at = time.monotonic()
    assert closed.wait(10)
    assert time.monotonic() - cancelled_at < CANCEL_SECONDS
    calling.finish()
    worker.leases.stop()
    assert Event.objects.latest("id").actor_kind == ActorKind.CLIENT


def test_an_answer_that_comes_after_a_cancel_changes_nothing(
    worker: Hand, arm: ScriptedArm, caplog: pytest.LogCaptureFixture
) -> None:
    held = arm.behaviour = Held(succeeds({"late": True}))
    task = TaskFactory()
    calling = Beside(lambda: worker.carrier.carry_out_task(task.pk))
    assert held.arrived.wait(10)
    Task.objects.get().cancel()
    before = everything()
    held.release()
    calling.finish()
    assert everything() == before
    assert [record.message for record in caplog.records][-1] == "Late write refused"


def test_a_call_of_an_attempt_that_is_dead_already_is_not_sent(
    worker: Hand, arm: ScriptedArm, claimed: Claimed
) -> None:
    with worker.leases.held(claimed.attempt_id) as holding:
        Task.objects.get().cancel()
        worker.leases.check(renews=False)
        assert holding.is_dead
        assert holding.wait(0)


def test_the_end_of_a_run_changes_no_other_task(worker: Hand, claimed: Claimed) -> None:
    other = worker.claims.claim_task(TaskFactory().pk)
    assert other is not None
    before = model_to_dict(Step.objects.get(pk=other.step_id))
    Task.objects.get(pk=claimed.task_id).cancel()
    assert model_to_dict(Step.objects.get(pk=other.step_id)) == before
    assert Attempt.objects.get(pk=other.attempt_id).ended_at is None
