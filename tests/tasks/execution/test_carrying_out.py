"""A task from its submission to its end, in one thread, against a real arm and Reflex Layer."""

import socket
from decimal import Decimal

import pytest
from django.db import OperationalError, connections

from safety.models import Receipt
from tasks.execution.failures import FailureCode
from tasks.models import Arm, Budget, Call, Event, Run, Step, Task
from tests.arms import (
    Received,
    ScriptedArm,
    by_path,
    fails,
    judges,
    plans,
    says_status,
    step,
    succeeds,
)
from tests.factories import ClientFactory, TaskFactory
from tests.reflex_layer import ScriptedReflexLayer, answer, found, in_turn, injection, resets, says
from tests.tasks.execution.conftest import Hand, register
from tests.tasks.execution.counters import counters
from tests.tasks.execution.rules_that_hold import ring

pytestmark = pytest.mark.django_db

COMES_LATER = says(b"", status="429 Too Many Requests", headers="Retry-After: 1\r\n")


def carry_out(worker: Hand, **fields: object) -> Task:
    task = TaskFactory(**fields)
    worker.carrier.carry_out_task(task.pk)
    return Task.objects.get(pk=task.pk)


def test_an_answer_becomes_the_result(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = succeeds({"sentiment": 0.5})
    task = carry_out(worker)
    assert (task.status, task.assigned_arm, task.has_result) == ("completed", "helper", True)
    result = task.results.get()
    assert (result.result_data, float(result.confidence)) == ({"sentiment": 0.5}, 0.9)
    budget = Budget.objects.get()
    assert (budget.reserved_tokens, budget.reserved_usd) == (0, 0)
    call = Call.objects.get()
    assert (call.outcome, call.is_estimated, call.tokens) == ("succeeded", False, 30)
    assert Step.objects.get().request is None
    assert Run.objects.get().failure_code is None


def test_a_completed_task_has_these_events(worker: Hand, arm: ScriptedArm) -> None:
    carry_out(worker)
    assert [(event.kind, event.actor_kind, event.data) for event in Event.objects.all()] == [
        ("status", "service", {"from": "pending", "to": "processing"}),
        ("run", "service", {"run": 1}),
        ("claim", "service", {"run": 1, "step": 1, "attempt": 1}),
        ("call", "service", {"run": 1, "step": 1, "call": 1, "arm": "helper"}),
        ("result", "service", {"run": 1, "step": 1}),
        ("status", "service", {"from": "processing", "to": "completed"}),
    ]


def test_a_completed_task_is_counted(worker: Hand, arm: ScriptedArm) -> None:
    carry_out(worker)
    assert counters("tasks") == {("processing",): 1, ("completed",): 1}
    assert counters("arm_calls") == {("helper", "succeeded"): 1}
    assert counters("attempts") == {("done",): 1}
    assert counters("tokens") == {("helper",): 30}
    assert counters("cost_usd") == {("helper",): Decimal("0.0125")}
    duration = counters("task_duration_seconds")
    assert sum(value for labels, value in duration.items() if labels != ("sum",)) == 1
    assert duration["sum",] > 0


def test_a_failed_task_is_counted(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = fails("validation")
    carry_out(worker)
    assert counters("tasks") == {("processing",): 1, ("failed",): 1}
    assert counters("arm_calls") == {("helper", "failed"): 1}
    assert counters("attempts") == {("failed",): 1}


def test_a_retry_is_counted_as_an_attempt(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("503 Service Unavailable")
    carry_out(worker)
    assert counters("attempts") == {("retried",): 1}
    assert counters("arm_calls") == {("helper", "refused"): 1}
    assert counters("tasks") == {("processing",): 1}


def test_a_task_that_fails_before_its_first_call_is_counted(worker: Hand, arm: ScriptedArm) -> None:
    carry_out(worker, max_tokens=0)
    assert counters("tasks") == {("processing",): 1, ("failed",): 1}
    assert counters("arm_calls") == {}


def test_an_error_that_is_not_retryable_fails_the_task(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = fails("validation")
    assert carry_out(worker).status == "failed"
    assert Run.objects.get().failure_code == FailureCode.ARM_FAILED
    assert Step.objects.get().state == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_call_is_committed_before_it_is_sent(worker: Hand, arm: ScriptedArm) -> None:
    written: list[object] = []

    def looks(request: Received, connection: socket.socket) -> bool:
        # With a connection of its own, which sees only what is committed.
        call = Call.objects.get()
        written.append((str(call.step_id), call.outcome, Task.objects.get().status))
        connections.close_all()
        return succeeds()(request, connection)

    arm.behaviour = looks
    carry_out(worker)
    assert written == [(arm.keys[0], None, "processing")]


# Runs of several steps


def test_a_task_of_several_steps_is_counted_once(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = by_path(
        plan=plans(step(1), step(2, 1)), execute=succeeds("done"), validate=judges(True)
    )
    Arm.objects.update(capabilities=["plan", "execute"])
    register(arm, "judge", capabilities=["validate"])
    task = TaskFactory(priority="high", acceptance_criteria=["The tone is polite"])
    ring(task)
    worker.work_until_idle()
    assert counters("tasks") == {("processing",): 1, ("completed",): 1}
    duration = counters("task_duration_seconds")
    assert sum(value for labels, value in duration.items() if labels != ("sum",)) == 1
    assert counters("arm_calls") == {("helper", "succeeded"): 3, ("judge", "succeeded"): 1}
    assert counters("attempts") == {("done",): 4}
    assert counters("tokens") == {("helper",): 90, ("judge",): 30}


def test_a_step_after_which_the_run_goes_on_keeps_its_answer(
    worker: Hand, arm: ScriptedArm
) -> None:
    register(arm, "judge", capabilities=["validate"])
    carry_out(worker, acceptance_criteria=["The tone is polite"])
    first = Step.objects.get(number=1)
    assert (first.state, first.answer, first.verdict) == ("done", "done", "safe")
    assert (first.confidence, first.request, first.ended_at is None) == (0.9, None, False)


def test_the_only_step_of_a_task_leaves_its_answer_to_the_result(
    worker: Hand, arm: ScriptedArm
) -> None:
    carry_out(worker)
    only = Step.objects.get()
    assert (only.answer, only.verdict, only.confidence) == (None, "safe", 0.9)


def test_a_step_that_failed_says_why(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = fails("validation")
    carry_out(worker)
    assert Step.objects.get().failure_code == FailureCode.ARM_FAILED


# Screening of answers


def test_the_answer_is_screened_and_has_a_receipt(
    worker: Hand, arm: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    client = ClientFactory()
    arm.behaviour = succeeds({"text": "A harmless answer"})
    task = carry_out(worker, client=client)
    assert any("A harmless answer" in text for text in reflex_layer.texts)
    receipt = Receipt.objects.get()
    assert (receipt.occasion, receipt.subject_id, receipt.verdict) == ("answer", task.pk, "safe")
    assert (receipt.client_id, receipt.request_id) == (client.pk, str(Step.objects.get().pk))


def test_personal_data_in_an_answer_is_redacted(
    worker: Hand, arm: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    def finds(connection: socket.socket) -> bool:
        text = reflex_layer.texts[-1]
        matches = [found(text, "ann@example.com")] if "ann@" in text else []
        return says(answer(pii_detected=bool(matches), pii_matches=matches))(connection)

    reflex_layer.behaviour = finds
    arm.behaviour = succeeds("Write to ann@example.com soon")
    task = carry_out(worker)
    assert task.status == "completed"
    assert task.results.get().result_data == "Write to [EMAIL] soon"
    assert Receipt.objects.get().redacted_types == ["Email"]


def test_an_injection_that_blocks_refuses_the_answer(
    worker: Hand, arm: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(injection("Critical"))
    task = carry_out(worker)
    assert (task.status, task.has_result) == ("failed", False)
    assert Run.objects.get().failure_code == FailureCode.OUTPUT_REFUSED
    assert Receipt.objects.get().verdict == "blocked"
    call = Call.objects.get()
    assert (call.outcome, call.tokens) == ("succeeded", 30)


def test_without_a_verdict_only_the_screening_is_repeated(
    worker: Hand, arm: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = in_turn(COMES_LATER, says(answer()))
    assert carry_out(worker).status == "completed"
    assert len(arm.work) == 1
    assert Call.objects.count() == 1
    budget = Budget.objects.get()
    assert (budget.spent_tokens, budget.reserved_tokens) == (30, 0)


def test_an_answer_without_a_verdict_until_the_time_is_over_fails(
    worker: Hand, arm: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = resets
    task = carry_out(worker, max_time_seconds=1)
    assert (task.status, task.has_result) == ("failed", False)
    assert Run.objects.get().failure_code == FailureCode.ANSWER_UNSCREENED
    call = Call.objects.get()
    assert (call.outcome, call.tokens, call.is_estimated) == ("succeeded", 30, False)
    assert counters("arm_calls") == {("helper", "succeeded"): 1}


# The database is away


class Away:
    """An allowance that lets a test say which of a worker's looks at the database fail."""

    def __init__(self, *failing: int) -> None:
        self._failing = failing
        self.looks = 0

    def __call__(self) -> "Away":
        return self

    def __enter__(self) -> None:
        self.looks += 1
        if self.looks in self._failing:
            raise OperationalError("the database is away")

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.django_db(transaction=True)
def test_what_a_call_brought_is_stored_when_the_database_is_back(
    worker: Hand, arm: ScriptedArm
) -> None:
    # The first look is the claim.
    worker.carrier._allowance = Away(2)
    assert carry_out(worker).status == "completed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("look", [2, 3])
def test_a_call_that_was_never_sent_stays_known_when_the_database_was_away(
    worker: Hand, arm: ScriptedArm, look: int
) -> None:
    arm.go_down()
    worker.carrier._allowance = Away(look)
    carry_out(worker)
    assert Call.objects.get().outcome == "not_sent"
    assert Step.objects.get().state == "ready"
