"""Several steps of one run that end at the same moment, in threads and connections of their own."""

from collections.abc import Sequence

import pytest

from tasks.execution.claiming.claims import Claimed
from tasks.execution.concluding import Conclusion, EndedCall
from tasks.execution.failures import FailureCode
from tasks.execution.following import done, failed
from tasks.execution.outcomes import CallOutcome
from tasks.execution.runs.finishing import finish
from tasks.execution.runs.options import DEFAULT
from tasks.models import Arm, Attempt, Call, Event, Step, Task
from tasks.states import TaskVerdict
from tests.arms import ScriptedArm, plans, step
from tests.tasks.execution.clock import let_leases_run_out
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.runs.carried_out import PLANNED, POLITE, begun, failure, result, steps
from tests.tasks.execution.side_by_side import Beside, rows_locked
from tests.tasks.execution.test_endings import everything

pytestmark = pytest.mark.django_db(transaction=True)


def call_of(claimed: Claimed) -> EndedCall:
    return EndedCall(claimed.call_id, CallOutcome.SUCCEEDED, 30, None)


def done_by(claimed: Claimed) -> Conclusion:
    return done(claimed, call_of(claimed), f"result {claimed.step}", 0.9, TaskVerdict.SAFE)


def failed_by(claimed: Claimed) -> Conclusion:
    return failed(claimed, call_of(claimed), FailureCode.ARM_FAILED)


def claimed_steps(
    worker: Hand, planner: ScriptedArm, count: int, **fields: object
) -> list[Claimed]:
    """Return claims of the steps that can begin of a plan with so many steps, side by side."""
    planner.behaviour = plans(*(step(number) for number in range(1, count + 1)))
    begun(**PLANNED, **fields)
    worker.work()
    claims = [worker.claims.claim_step(pk) for pk in steps("id", role="execute", state="ready")]
    return [claimed for claimed in claims if claimed is not None]


def finish_together(conclusions: Sequence[Conclusion]) -> None:
    """Write conclusions of steps of one task, each of which waits for the same lock."""
    task_id = conclusions[0].task_id
    with rows_locked(f"SELECT FROM tasks WHERE id = '{task_id}' FOR NO KEY UPDATE") as until:
        threads = [Beside(lambda one=one: finish(one, DEFAULT)) for one in conclusions]
        until(len(conclusions))
    for thread in threads:
        thread.finish()


def test_of_the_last_two_steps_one_has_the_result_checked(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    claims = claimed_steps(worker, planner, 2, acceptance_criteria=[POLITE])
    finish_together([*map(done_by, claims)])
    assert steps("role", "depends_on", role="judge") == [("judge", [1, 2])]
    worker.work_until_idle()
    task = Task.objects.get()
    assert (task.status, result(task)) == ("completed", {"1": "result 1", "2": "result 2"})


def test_of_the_last_two_steps_one_completes_the_task(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    finish_together([*map(done_by, claimed_steps(worker, planner, 2))])
    assert result(Task.objects.get()) == {"1": "result 1", "2": "result 2"}
    assert Event.objects.filter(kind="status").count() == 2


def test_of_steps_that_fail_together_one_asks_for_another_plan(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    finish_together([*map(failed_by, claimed_steps(worker, planner, 3))])
    assert steps("revision", "state", role="plan") == [(1, "done"), (2, "ready")]


def test_a_step_that_is_done_while_another_fails_is_kept(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    first, second = claimed_steps(worker, planner, 2)
    finish_together([done_by(first), failed_by(second)])
    assert steps("revision", "depends_on", role="plan") == [(1, []), (2, [1])]


def test_steps_that_end_together_let_as_many_others_begin(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    finish_together([*map(done_by, claimed_steps(worker, planner, 9)[:3])])
    assert steps("state", role="execute") == [
        *["done"] * 3, "running", *["ready"] * 3, *["waiting"] * 2,
    ]  # fmt: skip


def test_another_plan_waits_for_the_steps_that_are_carried_out_and_stops_the_others(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    first, *others = claimed_steps(worker, planner, 6)
    finish(failed_by(first), DEFAULT)
    assert steps("state", role="execute") == [
        "failed", "running", "running", "running", "cancelled", "cancelled",
    ]  # fmt: skip
    for other in others:
        assert steps("state", role="plan") == ["done"]
        finish(done_by(other), DEFAULT)
    assert steps("state", "depends_on", role="plan") == [("done", []), ("ready", [2, 3, 4])]


def test_what_comes_after_the_end_of_the_run_is_refused(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    first, second = claimed_steps(worker, planner, 2)
    over = failed(first, call_of(first), FailureCode.TIMED_OUT)
    assert finish(over, DEFAULT) is not None
    task = Task.objects.get()
    assert (task.status, failure(task)) == ("failed", "timed_out")
    assert not Attempt.objects.filter(ended_at=None).exists()
    assert not Call.objects.filter(ended_at=None).exists()
    before = everything()
    assert finish(done_by(second), DEFAULT) is None
    assert everything() == before


def test_what_arms_work_on_is_brought_home_before_the_task_fails(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    first, second = claimed_steps(worker, planner, 2)
    finish(failed(first, call_of(first), FailureCode.OUTCOME_UNKNOWN), DEFAULT)
    assert Task.objects.get().status == "processing"
    assert finish(done_by(second), DEFAULT) is not None
    task = Task.objects.get()
    assert (task.status, failure(task)) == ("failed", "outcome_unknown")
    assert result(task) == {"2": "result 2"}
    assert not Call.objects.filter(is_estimated=True, tokens__gt=30).exists()


def test_a_step_that_ends_while_its_task_is_cancelled_changes_nothing(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    first, _ = claimed_steps(worker, planner, 2)
    Task.objects.get().cancel()
    before = everything()
    assert finish(done_by(first), DEFAULT) is None
    assert finish(failed_by(first), DEFAULT) is None
    assert everything() == before


@pytest.mark.parametrize("is_idempotent", [True, False])
def test_a_planner_whose_worker_was_lost_is_asked_again_only_if_it_knows_the_key(
    worker: Hand, other_worker: Hand, arm: ScriptedArm, planner: ScriptedArm, *, is_idempotent: bool
) -> None:
    Arm.objects.filter(name="planner").update(is_idempotent=is_idempotent)
    lost = worker.claims.claim_task(begun(**PLANNED).pk)
    assert lost is not None
    let_leases_run_out()
    other_worker.carrier.carry_out_step(lost.step_id)
    other_worker.work_until_idle()
    task = Task.objects.get()
    if is_idempotent:
        assert (task.status, [request.body for request in planner.work]) == (
            "completed",
            [lost.body],
        )
    else:
        assert (failure(task), planner.work) == ("outcome_unknown", [])


def test_a_check_whose_worker_was_lost_and_that_may_not_be_repeated_leaves_it_undecided(
    worker: Hand, other_worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    task = begun(acceptance_criteria=[POLITE])
    worker.work()
    lost = worker.claims.claim_step(Step.objects.get(role="judge").pk)
    assert lost is not None
    let_leases_run_out()
    other_worker.carrier.carry_out_step(lost.step_id)
    task.refresh_from_db()
    assert (task.status, judge.work) == ("completed", [])
    assert steps("failure_code", role="judge") == ["outcome_unknown"]
