"""What follows from a call without an answer: another one, parking, or the end."""

from datetime import timedelta

import pytest

from tasks.execution.failures import FailureCode
from tasks.models import Arm, Call, Event, Run, Step, Task
from tests.arms import (
    Behaviour,
    ScriptedArm,
    closes,
    completes,
    fails,
    for_another_task,
    hangs,
    in_turn,
    refuses_parameter,
    says,
    says_status,
    succeeds,
    too_long,
    trickles,
)
from tests.factories import TaskFactory
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand, register

pytestmark = pytest.mark.django_db

NOT_RETRIED = {
    "validation error": fails("validation"),
    "400 with an error": fails("validation", status="400 Bad Request"),
    "500 with an error": fails("internal", status="500 Internal Server Error"),
    "409": says_status("409 Conflict"),
    "422": says_status("422 Unprocessable Entity"),
    "another task": for_another_task(),
    "too long": too_long(),
    "no result": succeeds(None),
    "retryable as text": fails("internal", retryable="true"),
}
RETRIED = {
    "retryable error": fails("rate_limit", retryable=True),
    "400 with a retryable error": fails("validation", status="400 Bad Request", retryable=True),
    "500 with a retryable error": fails(
        "internal", status="500 Internal Server Error", retryable=True
    ),
    "429": says_status("429 Too Many Requests"),
    "503": says_status("503 Service Unavailable"),
}
UNKNOWN = {
    "closed": closes(),
    "500": says_status("500 Internal Server Error"),
    "502": says_status("502 Bad Gateway"),
    "504": says_status("504 Gateway Timeout"),
    "408": says_status("408 Request Timeout"),
    "not JSON": says(b"<html>"),
    "not the protocol": says({"ok": True}),
}


@pytest.fixture
def step(worker: Hand, arm: ScriptedArm) -> Step:
    """A step whose first call got 503."""
    TaskFactory()
    arm.behaviour = says_status("503 Service Unavailable")
    worker.carrier.carry_out_task(Task.objects.get().pk)
    return Step.objects.get()


def carried_out(worker: Hand, *, calls: int = 10) -> Task:
    """Carry a new task out, with all the calls that it takes; return the task."""
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    for _ in range(calls):
        advance(100)
        worker.housekeeping.tick()
        worker.work()
    return Task.objects.get(pk=task.pk)


def failure() -> str | None:
    return Run.objects.get().failure_code


@pytest.mark.parametrize("name", NOT_RETRIED)
def test_a_definite_failure_is_not_repeated(worker: Hand, arm: ScriptedArm, name: str) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = NOT_RETRIED[name]
    assert carried_out(worker).status == "failed"
    assert (failure(), len(arm.work)) == (FailureCode.ARM_FAILED, 1)


@pytest.mark.parametrize("name", RETRIED)
def test_what_an_arm_refused_as_retryable_is_repeated(
    worker: Hand, arm: ScriptedArm, name: str
) -> None:
    arm.behaviour = in_turn(RETRIED[name], succeeds())
    assert carried_out(worker).status == "completed"
    assert len(arm.work) == 2


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_outcome_is_not_repeated(worker: Hand, arm: ScriptedArm, name: str) -> None:
    arm.behaviour = UNKNOWN[name]
    assert carried_out(worker).status == "failed"
    assert (failure(), len(arm.work)) == (FailureCode.OUTCOME_UNKNOWN, 1)
    assert Call.objects.get().outcome == "unknown"
    assert not Event.objects.filter(kind="retry").exists()


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_outcome_of_an_idempotent_arm_is_repeated(
    worker: Hand, arm: ScriptedArm, name: str
) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = in_turn(UNKNOWN[name], succeeds())
    assert carried_out(worker).status == "completed"
    assert len(arm.work) == 2


@pytest.mark.parametrize(
    "behaviour", [pytest.param(hangs(), id="hanging"), pytest.param(trickles(), id="trickling")]
)
def test_the_deadline_of_a_call_covers_its_last_byte(
    worker: Hand, arm: ScriptedArm, behaviour: Behaviour
) -> None:
    Arm.objects.update(timeout_seconds=1)
    arm.behaviour = behaviour
    worker.carrier.carry_out_task(TaskFactory().pk)
    call = Call.objects.get()
    assert call.outcome == "unknown"
    assert 1 <= (call.ended_at - call.started_at).total_seconds() < 2
    assert failure() == FailureCode.OUTCOME_UNKNOWN


def test_an_outcome_that_stays_unknown_fails_with_outcome_unknown(
    worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = closes()
    assert carried_out(worker).status == "failed"
    assert (failure(), len(arm.work)) == (FailureCode.OUTCOME_UNKNOWN, 4)


def test_what_was_never_sent_is_repeated(worker: Hand, arm: ScriptedArm) -> None:
    arm.go_down()
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    assert Call.objects.get().outcome == "not_sent"
    arm.come_up()
    advance(2)
    worker.housekeeping.tick()
    worker.work()
    assert Task.objects.get().status == "completed"
    assert len(arm.work) == 1


def test_after_four_tries_the_arm_has_failed(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    assert carried_out(worker).status == "failed"
    assert (failure(), len(arm.work)) == (FailureCode.ARM_FAILED, 4)


def test_each_try_sends_the_bytes_and_the_key_of_the_first(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    carried_out(worker)
    assert {request.body for request in arm.work} == {arm.work[0].body}
    assert arm.keys == [str(Step.objects.get().pk)] * 4
    assert {request.json["request_id"] for request in arm.work} == {arm.keys[0]}
    assert len({bytes(call.request_digest) for call in Call.objects.all()}) == 1


def test_the_tries_are_one_four_and_sixteen_seconds_apart(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable", retry_after="0")
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    waits = []
    for _ in range(3):
        step, call = Step.objects.get(), Call.objects.latest("id")
        waits.append((step.wake_at - call.ended_at).total_seconds())
        advance(100)
        worker.housekeeping.tick()
        worker.work()
    for wait, seconds in zip(waits, (1, 4, 16), strict=True):
        assert seconds <= wait <= seconds * 1.25 + 0.1


def test_a_try_comes_not_before_the_arm_wants_it(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable", retry_after="90")
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    wait = Step.objects.get().wake_at - Call.objects.get().ended_at
    assert timedelta(seconds=90) <= wait < timedelta(seconds=91)


def test_a_step_that_waits_has_no_attempt_and_no_bell(worker: Hand, step: Step) -> None:
    assert step.state == "ready"
    assert step.wake_at is not None
    assert not step.attempts.filter(ended_at=None).exists()
    worker.housekeeping.tick()
    worker.work()
    assert Call.objects.count() == 1


def test_a_step_that_waits_is_not_claimed_by_an_early_bell(worker: Hand, step: Step) -> None:
    worker.carrier.carry_out_step(step.pk)
    assert Call.objects.count() == 1


def test_a_wait_beyond_the_time_of_the_run_times_out_at_once(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = says_status("503 Service Unavailable", retry_after="90")
    task = TaskFactory(max_time_seconds=60)
    worker.carrier.carry_out_task(task.pk)
    assert failure() == FailureCode.TIMED_OUT


def test_a_retry_is_an_event(worker: Hand, step: Step) -> None:
    event = Event.objects.filter(kind="retry").get()
    assert event.data == {"run": 1, "step": 1, "call": 1}


def test_a_refused_parameter_is_left_out_of_the_next_call(worker: Hand, model: ScriptedArm) -> None:
    model.behaviour = refuses_parameter("temperature")
    assert carried_out(worker, calls=1).status == "completed"
    assert ["temperature" in request.json for request in model.work] == [True, False]
    assert Arm.objects.get().refused_parameters == ["temperature"]


def test_a_refused_parameter_is_remembered_for_other_tasks(
    worker: Hand, model: ScriptedArm
) -> None:
    model.behaviour = refuses_parameter("temperature")
    carried_out(worker, calls=1)
    TaskFactory(goal="Another")
    worker.carrier.carry_out_task(Task.objects.get(goal="Another").pk)
    assert "temperature" not in model.work[-1].json
    assert len(model.work) == 3


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_an_arm_that_does_not_know_us_parks_the_task(
    worker: Hand, arm: ScriptedArm, status: str
) -> None:
    arm.behaviour = says_status(status)
    assert carried_out(worker, calls=3).status == "processing"
    step = Step.objects.get()
    assert (step.state, step.waits_for, step.waits_at) == ("ready", "arm", "")
    assert Arm.objects.get().health == "misconfigured"
    assert len(arm.work) == 1


def test_a_misconfigured_arm_takes_nothing_until_staff_have_looked(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = in_turn(says_status("401 Unauthorized"), succeeds())
    first = carried_out(worker, calls=1)
    second = TaskFactory()
    worker.carrier.carry_out_task(second.pk)
    assert len(arm.work) == 1
    Arm.objects.get().enable()
    worker.housekeeping.tick()
    worker.work()
    statuses = Task.objects.filter(pk__in=[first.pk, second.pk]).values_list("status", flat=True)
    assert [*statuses] == ["completed", "completed"]


def test_a_task_of_a_misconfigured_arm_goes_to_another_one(
    worker: Hand, arm: ScriptedArm, model: ScriptedArm
) -> None:
    Arm.objects.filter(name="helper").update(tier=1)
    arm.behaviour = says_status("404 Not Found")
    assert carried_out(worker, calls=1).status == "completed"
    assert (len(arm.work), len(model.work)) == (1, 1)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(says_status("404 Not Found"), id="misconfigured"),
        pytest.param(None, id="not-sent"),
    ],
)
def test_after_an_unknown_outcome_no_other_arm_gets_the_work(
    worker: Hand, arm: ScriptedArm, second: Behaviour | None
) -> None:
    # Of the two arms, one may have carried it out; the other would do so again.
    Arm.objects.update(is_idempotent=True, tier=1)
    with ScriptedArm() as another:
        register(another, "another")
        arm.behaviour = closes() if second is None else in_turn(closes(), second)
        carried_out(worker, calls=0)
        if second is None:
            arm.go_down()
        advance(10)
        worker.housekeeping.tick()
        worker.work()
        Arm.objects.filter(name="helper").update(is_enabled=False)
        for _ in range(2):
            advance(30)
            worker.housekeeping.tick()
            worker.work()
        assert another.work == []
    step = Step.objects.get()
    assert (step.state, step.waits_for, step.waits_at) == ("ready", "arm", "helper")


def test_a_parameter_refused_after_an_unknown_outcome_is_left_out_all_the_same(
    worker: Hand, model: ScriptedArm
) -> None:
    model.behaviour = in_turn(closes(), refuses_parameter("temperature"))
    assert carried_out(worker, calls=2).status == "completed"
    assert len(model.work) == 3


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(says_status("503 Service Unavailable"), id="503"),
        pytest.param(says_status("504 Gateway Timeout"), id="504"),
    ],
)
def test_tries_that_never_told_what_came_of_the_first_end_with_outcome_unknown(
    worker: Hand, arm: ScriptedArm, last: Behaviour
) -> None:
    # Staff who requeue it are warned, since the first call may have had its effect.
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = in_turn(closes(), last)
    carried_out(worker)
    assert failure() == FailureCode.OUTCOME_UNKNOWN


def test_a_definite_answer_settles_an_unknown_outcome(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = in_turn(closes(), fails("validation"))
    carried_out(worker)
    assert failure() == FailureCode.ARM_FAILED


def test_a_length_that_was_cut_off_is_not_repeated(worker: Hand, model: ScriptedArm) -> None:
    model.behaviour = completes(finish_reason="length")
    assert carried_out(worker).status == "failed"
    assert (failure(), len(model.work)) == (FailureCode.ARM_FAILED, 1)


def test_the_reason_of_a_failure_has_no_text_of_the_arm(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = fails("internal", message="Planted words", error_code="PLANTED")
    carried_out(worker)
    assert Call.objects.get().detail == "internal error"
    assert Run.objects.get().failure_detail == "The arm could not carry out the task."
