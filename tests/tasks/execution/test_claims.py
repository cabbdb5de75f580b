"""Claims: of many workers one wins, and a step whose worker was lost goes on with another."""

from collections.abc import Callable

import pytest

from tasks.execution.claiming.claims import Claimed
from tasks.execution.worker import carrying_out
from tasks.models import Arm, Attempt, Call, Event, Run, Step, Task
from tests.arms import ScriptedArm, says_status
from tests.factories import TaskFactory
from tests.tasks.execution.clock import advance, let_leases_run_out
from tests.tasks.execution.conftest import Hand, register
from tests.tasks.execution.counters import counters
from tests.tasks.execution.side_by_side import Beside, rows_locked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lost(worker: Hand, arm: ScriptedArm) -> Claimed:
    """A claim of a worker that does nothing more; its lease has run out."""
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    let_leases_run_out()
    return claimed


def both(*works: Callable[[], object]) -> list[Beside]:
    return [Beside(work) for work in works]


def test_a_claim_takes_step_place_budget_and_intent_together(
    worker: Hand, arm: ScriptedArm
) -> None:
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    attempt, call, step = Attempt.objects.get(), Call.objects.get(), Step.objects.get()
    assert (attempt.number, attempt.worker_id, attempt.ended_at) == (1, worker.id, None)
    assert (call.number, call.arm_id, call.outcome) == (1, "helper", None)
    assert (step.state, step.arm_id, step.tries) == ("running", "helper", 1)
    assert bytes(step.request) == claimed.body
    assert Task.objects.get().status == "processing"
    assert arm.work == []


def test_a_step_with_a_lease_is_claimed_by_nobody_else(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    assert other_worker.claims.claim_step(claimed.step_id) is None
    assert other_worker.claims.claim_task(claimed.task_id) is None


def test_of_two_workers_one_claims_a_task(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    task = TaskFactory()
    with rows_locked(f"SELECT FROM tasks WHERE id = '{task.pk}' FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_task(task.pk),
            lambda: other_worker.claims.claim_task(task.pk),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    assert Attempt.objects.count() == Call.objects.count() == Run.objects.count() == 1


def test_of_two_workers_one_takes_over(worker: Hand, other_worker: Hand, lost: Claimed) -> None:
    Arm.objects.update(is_idempotent=True)
    with rows_locked(f"SELECT FROM tasks WHERE id = '{lost.task_id}' FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_step(lost.step_id),
            lambda: other_worker.claims.claim_step(lost.step_id),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    assert [*Attempt.objects.values_list("number", "outcome")] == [(1, "lost"), (2, None)]
    assert Step.objects.get().leases_lost == 1
    assert Event.objects.filter(kind="recovery").count() == 1
    assert Step.objects.get().state == "running"


@pytest.mark.parametrize("room", [1, 8])
def test_a_worker_that_comes_too_late_for_a_takeover_parks_nothing(
    worker: Hand, other_worker: Hand, lost: Claimed, room: int
) -> None:
    # The first takes the last place. The second has seen the lost attempt, and finds no room.
    Arm.objects.update(is_idempotent=True, room=room)
    with rows_locked(f"SELECT FROM tasks WHERE id = '{lost.task_id}' FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_step(lost.step_id),
            lambda: other_worker.claims.claim_step(lost.step_id),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    step = Step.objects.get()
    assert (step.state, step.waits_for) == ("running", None)


def test_a_worker_that_comes_too_late_for_the_last_try_fails_nothing(
    worker: Hand, other_worker: Hand, lost: Claimed
) -> None:
    Arm.objects.update(is_idempotent=True)
    Step.objects.update(tries=3)
    Call.objects.update(number=3)
    with rows_locked(f"SELECT FROM tasks WHERE id = '{lost.task_id}' FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_step(lost.step_id),
            lambda: other_worker.claims.claim_step(lost.step_id),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    assert Task.objects.get().status == "processing"
    assert Attempt.objects.filter(ended_at=None).count() == 1


def test_of_two_workers_one_parks_a_task(worker: Hand, other_worker: Hand) -> None:
    task = TaskFactory()
    with rows_locked(f"SELECT FROM tasks WHERE id = '{task.pk}' FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_task(task.pk),
            lambda: other_worker.claims.claim_task(task.pk),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    assert Run.objects.count() == Step.objects.count() == 1
    assert Event.objects.filter(kind="park").count() == 1


def test_two_workers_take_no_more_places_than_there_are(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(room=1)
    tasks = [TaskFactory(), TaskFactory()]
    with rows_locked("SELECT FROM arms FOR UPDATE") as until_waiting:
        threads = both(
            lambda: worker.claims.claim_task(tasks[0].pk),
            lambda: other_worker.claims.claim_task(tasks[1].pk),
        )
        until_waiting(2)
    for thread in threads:
        thread.finish()
    assert Call.objects.count() == 1
    assert sorted(Step.objects.values_list("state", "waits_for")) == [
        ("ready", "room"),
        ("running", None),
    ]


def test_a_worker_that_loses_the_place_at_one_arm_takes_one_at_another(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    with ScriptedArm() as dear:
        register(dear, "dear", tier=9)
        Arm.objects.update(room=1)
        tasks = [TaskFactory(), TaskFactory()]
        with rows_locked("SELECT FROM arms FOR UPDATE") as until_waiting:
            threads = both(
                lambda: worker.claims.claim_task(tasks[0].pk),
                lambda: other_worker.claims.claim_task(tasks[1].pk),
            )
            until_waiting(2)
        for thread in threads:
            thread.finish()
    assert sorted(Call.objects.values_list("arm", flat=True)) == ["dear", "helper"]


# Taking over


def test_an_idempotent_arm_gets_the_same_bytes_from_the_next_worker(
    other_worker: Hand, arm: ScriptedArm, lost: Claimed
) -> None:
    Arm.objects.update(is_idempotent=True)
    other_worker.carrier.carry_out_step(lost.step_id)
    [request] = arm.work
    assert request.body == lost.body
    assert arm.keys == [str(lost.step_id)]
    assert Task.objects.get().status == "completed"
    assert [*Call.objects.values_list("number", "outcome")] == [(1, "unknown"), (2, "succeeded")]


def test_another_arm_gets_nothing_after_a_takeover(
    other_worker: Hand, arm: ScriptedArm, lost: Claimed
) -> None:
    Arm.objects.update(is_idempotent=True, tier=9)
    with ScriptedArm() as cheaper:
        register(cheaper, "cheaper", tier=1)
        other_worker.carrier.carry_out_step(lost.step_id)
        assert cheaper.work == []
    assert len(arm.work) == 1


def test_an_arm_that_is_not_idempotent_is_not_asked_again(
    other_worker: Hand, arm: ScriptedArm, lost: Claimed
) -> None:
    other_worker.carrier.carry_out_step(lost.step_id)
    assert arm.work == []
    assert Run.objects.get().failure_code == "outcome_unknown"
    assert Task.objects.get().status == "failed"
    assert not Attempt.objects.filter(ended_at=None).exists()
    assert not Call.objects.filter(ended_at=None).exists()


def test_an_answer_that_was_lost_with_its_worker_has_an_unknown_outcome(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    # The call has ended, and the worker was lost while it waited for the screening.
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    Call.objects.update(ended_at=Call.objects.get().started_at, outcome="succeeded", tokens=1,
        cost_usd=0)  # fmt: skip
    let_leases_run_out()
    other_worker.carrier.carry_out_step(claimed.step_id)
    assert Run.objects.get().failure_code == "outcome_unknown"


def test_a_takeover_is_an_event(other_worker: Hand, arm: ScriptedArm, lost: Claimed) -> None:
    other_worker.carrier.carry_out_step(lost.step_id)
    event = Event.objects.get(kind="recovery")
    assert event.data == {"run": 1, "step": 1, "attempt": 1}
    assert counters("leases_lost") == {(): 1}
    assert counters("attempts") == {("lost",): 1}


def test_a_lost_lease_is_not_a_try(other_worker: Hand, arm: ScriptedArm, lost: Claimed) -> None:
    Arm.objects.update(is_idempotent=True)
    for call in range(2, 6):
        claimed = other_worker.claims.claim_step(lost.step_id)
        assert claimed is not None
        assert (claimed.number, claimed.tries, claimed.body) == (call, 1, lost.body)
        let_leases_run_out()
    # The fifth lost lease is the last one.
    other_worker.carrier.carry_out_step(lost.step_id)
    assert Run.objects.get().failure_code == "too_many_attempts"
    assert arm.work == []
    assert not Attempt.objects.filter(ended_at=None).exists()


def test_a_worker_that_was_stopped_after_its_claim_sends_nothing(
    worker: Hand, arm: ScriptedArm, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TaskFactory()
    # As if the process had been stopped for longer than a lease.
    monkeypatch.setattr(carrying_out, "LEASE_SECONDS", -1)
    worker.carrier.carry_out_task(task.pk)
    assert arm.work == []
    assert Call.objects.get().outcome == "not_sent"
    assert Step.objects.get().wake_at is not None


def test_a_takeover_after_the_time_of_the_run_times_out(
    other_worker: Hand, arm: ScriptedArm, lost: Claimed
) -> None:
    Arm.objects.update(is_idempotent=True)
    advance(601)
    other_worker.carrier.carry_out_step(lost.step_id)
    assert Run.objects.get().failure_code == "timed_out"
    assert arm.work == []


def test_the_deadline_of_a_call_is_what_is_left_of_the_run(worker: Hand, arm: ScriptedArm) -> None:
    claimed = worker.claims.claim_task(TaskFactory(max_time_seconds=10).pk)
    assert claimed is not None
    assert 9 < claimed.timeout_seconds <= 10


def test_the_deadline_of_a_call_is_at_most_the_timeout_of_the_arm(
    worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(timeout_seconds=7)
    claimed = worker.claims.claim_task(TaskFactory().pk)
    assert claimed is not None
    assert claimed.timeout_seconds == 7


def test_the_time_of_a_run_goes_on_over_its_attempts(
    worker: Hand, other_worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(is_idempotent=True)
    claimed = worker.claims.claim_task(TaskFactory(max_time_seconds=100).pk)
    assert claimed is not None
    advance(60)
    again = other_worker.claims.claim_step(claimed.step_id)
    assert again is not None
    assert 38 < again.run_seconds_left <= 40


def test_a_requeue_is_a_new_run_with_a_new_key_and_new_tries(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = says_status("500 Internal Server Error")
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    Task.objects.get().requeue()
    advance(1_000)
    worker.work()
    first, second = Run.objects.order_by("number")
    assert (first.number, second.number) == (1, 2)
    assert len(set(arm.keys)) == 2
    assert [step.tries for step in Step.objects.all()] == [1, 1]
