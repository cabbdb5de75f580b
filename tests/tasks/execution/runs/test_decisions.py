"""Decisions of staff: a result waits for one without time, lease or job, and gets exactly one."""

from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from tasks.exceptions import DecisionTaken
from tasks.execution.parked import ring_parked
from tasks.execution.releasing import release, retry_now
from tasks.execution.runs.decisions import accept, reject
from tasks.execution.runs.options import RunOptions, Undecided
from tasks.models import Attempt, Budget, Call, Event, Run, Step, Task
from tests.arms import ScriptedArm, in_turn, judges, works
from tests.factories import TaskFactory
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.runs.carried_out import (
    ASK,
    FUNNY,
    POLITE,
    carried_out,
    contract,
    failure,
    go_on,
    result,
    steps,
    verdicts,
)
from tests.tasks.execution.side_by_side import Beside, rows_locked

pytestmark = pytest.mark.django_db

DAY = 86_400


@pytest.fixture
def worker(reflex_layer: ScriptedReflexLayer) -> Hand:
    """A worker that asks staff."""
    return Hand(options=ASK)


@pytest.fixture
def asked(worker: Hand, arm: ScriptedArm, judge: ScriptedArm) -> Task:
    """A task of which one criterion is met, and one waits for a decision."""
    arm.behaviour = in_turn(works("Thank you"), works("Thank you, ha"), works("Thanks, haha"))
    judge.behaviour = judges(True, None)
    return carried_out(worker, acceptance_criteria=[POLITE, FUNNY], max_time_seconds=100)


def decision() -> Step:
    return Step.objects.get(role="decide", ended_at=None)


def accepts(task: Task, *, actor: str = "ann", reason: str = "Funny enough") -> None:
    accept(task_id=task.pk, step_id=decision().pk, actor=actor, reason=reason)


def rejects(task: Task, *, wish: str = "", reason: str = "Not funny") -> None:
    reject(task_id=task.pk, step_id=decision().pk, actor="ann", reason=reason, wish=wish)


# Waiting


def test_an_undecided_result_waits_for_a_decision(asked: Task) -> None:
    step = decision()
    assert (asked.status, asked.has_result) == ("processing", False)
    assert (step.state, step.waits_for, step.number, step.depends_on) == (
        "ready", "decision", 3, [1],
    )  # fmt: skip
    assert step.parked_at is not None
    assert verdicts(asked) == [("met", "arm"), ("undecided", "arm")]
    event = Event.objects.get(kind="park")
    assert event.data == {"run": 1, "step": 3, "waits_for": "decision"}


def test_what_waits_for_a_decision_has_no_lease_no_job_and_no_call(
    worker: Hand, asked: Task, arm: ScriptedArm
) -> None:
    assert not ringing()
    assert not Attempt.objects.filter(ended_at=None).exists()
    assert not Call.objects.filter(ended_at=None).exists()
    assert Budget.objects.get().reserved_tokens == 0
    calls = len(arm.work)
    # Nothing that looks for work finds it.
    worker.reconcile()
    ring_parked(with_budget=True)
    assert release([asked.pk], actor="ann", reason="") == set()
    assert retry_now([asked.pk], actor="ann", reason="") == set()
    worker.carrier.carry_out_step(decision().pk)
    assert not ringing()
    assert go_on(worker, asked).status == "processing"
    assert len(arm.work) == calls


def test_the_time_of_the_run_stands_still(worker: Hand, asked: Task, arm: ScriptedArm) -> None:
    run = Run.objects.get()
    left = run.ends_at - run.parked_at
    advance(DAY)
    worker.reconcile()
    rejects(asked, wish="Add a joke")
    run = Run.objects.get()
    assert run.parked_at is None
    assert abs(run.ends_at - timezone.now() - left).total_seconds() < 2
    worker.work_until_idle()
    assert contract(arm.work[-1])["budget"]["max_time_seconds"] > 90


def test_a_result_without_doubt_does_not_wait(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    assert carried_out(worker, acceptance_criteria=[POLITE]).status == "completed"
    assert carried_out(worker).status == "completed"


def test_without_a_judge_staff_decide_about_all_that_rules_do_not(
    worker: Hand, arm: ScriptedArm
) -> None:
    task = carried_out(worker, acceptance_criteria=[POLITE, "not empty"])
    accepts(task)
    assert verdicts(task) == [("met", "person"), ("met", "rule")]


# Deciding


def test_an_accepted_result_completes_the_task(worker: Hand, asked: Task) -> None:
    accepts(asked)
    asked.refresh_from_db()
    assert (asked.status, result(asked)) == ("completed", "Thank you")
    assert float(asked.results.get().confidence) == 0.81
    assert verdicts(asked) == [("met", "arm"), ("met", "person")]
    step = Step.objects.get(role="decide")
    assert (step.state, step.waits_for, step.parked_at) == ("done", None, None)
    assert step.answer == {"outcome": "accepted", "reason": "Funny enough", "wish": ""}
    assert Run.objects.get().ended_at is not None
    assert not ringing()


def test_a_decision_is_an_event_before_the_end(asked: Task) -> None:
    accepts(asked)
    event, status = Event.objects.order_by("id")[Event.objects.count() - 2 :]
    assert (event.kind, event.actor, event.actor_kind, event.reason, event.data) == (
        "decision", "ann", "staff", "Funny enough", {"outcome": "accepted"},
    )  # fmt: skip
    assert (status.kind, status.data) == ("status", {"from": "processing", "to": "completed"})


def test_a_rejected_result_fails_the_task_which_keeps_it(asked: Task) -> None:
    rejects(asked)
    asked.refresh_from_db()
    assert (asked.status, failure(asked), result(asked)) == (
        "failed", "criteria_not_met", "Thank you",
    )  # fmt: skip
    assert verdicts(asked) == [("met", "arm"), ("not_met", "person")]
    assert Event.objects.get(kind="decision").reason == "Not funny"


def test_a_wish_is_one_more_repair_which_is_judged_again(
    worker: Hand, asked: Task, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = judges(True)
    rejects(asked, wish="Add a joke")
    worker.work_until_idle()
    asked.refresh_from_db()
    assert (asked.status, result(asked)) == ("completed", "Thank you, ha")
    assert contract(arm.work[1])["context"]["repair"] == {
        "result": "Thank you",
        "failed": [{"criterion": FUNNY, "why": "A person rejected the result."}],
        "guidance": "Add a joke",
    }
    assert judge.work[1].json["output"] == "Thank you, ha"
    assert verdicts(asked) == [("met", "arm"), ("met", "arm")]


def test_a_repair_that_leaves_doubt_is_asked_about_again(worker: Hand, asked: Task) -> None:
    rejects(asked, wish="Add a joke")
    worker.work_until_idle()
    assert steps("role", "state")[-4:] == [
        ("decide", "done"), ("repair", "done"), ("judge", "done"), ("decide", "ready"),
    ]  # fmt: skip
    accepts(asked)
    asked.refresh_from_db()
    assert (asked.status, result(asked)) == ("completed", "Thank you, ha")


def test_wishes_are_bounded(worker: Hand, asked: Task, arm: ScriptedArm) -> None:
    arm.behaviour = in_turn(*(works(f"Thanks {number}") for number in range(1, 9)))
    for _ in range(5):
        rejects(asked, wish="Better")
        worker.work_until_idle()
    rejects(asked, wish="Better")
    worker.work_until_idle()
    asked.refresh_from_db()
    assert (asked.status, failure(asked), result(asked)) == (
        "failed", "criteria_not_met", "Thanks 5",
    )  # fmt: skip
    assert len(arm.work) == 6


def test_the_same_answer_to_a_wish_ends_it(worker: Hand, asked: Task, arm: ScriptedArm) -> None:
    arm.behaviour = works("Thank you")
    rejects(asked, wish="Add a joke")
    worker.work_until_idle()
    asked.refresh_from_db()
    assert (failure(asked), result(asked)) == ("criteria_not_met", "Thank you")


# Decided once


@pytest.mark.parametrize("wish", ["", "Add a joke"])
def test_a_second_decision_is_told_that_there_is_one(asked: Task, wish: str) -> None:
    step = decision()
    rejects(asked, wish=wish)
    with pytest.raises(DecisionTaken):
        accept(task_id=asked.pk, step_id=step.pk, actor="bob", reason="")
    assert Event.objects.get(kind="decision").actor == "ann"


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_at_the_same_moment_one_wins(asked: Task) -> None:
    step, told = decision(), []

    def decide(actor: str) -> None:
        try:
            if actor == "ann":
                accept(task_id=asked.pk, step_id=step.pk, actor=actor, reason="")
            else:
                reject(task_id=asked.pk, step_id=step.pk, actor=actor, reason="", wish="Better")
        except DecisionTaken:
            told.append(actor)

    with rows_locked(f"SELECT FROM tasks WHERE id = '{asked.pk}' FOR NO KEY UPDATE") as waiting:
        threads = [Beside(lambda: decide("ann")), Beside(lambda: decide("bob"))]
        waiting(2)
    for thread in threads:
        thread.finish()
    [loser] = told
    event = Event.objects.get(kind="decision")
    assert {event.actor, loser} == {"ann", "bob"}
    asked.refresh_from_db()
    expected = ("completed", []) if loser == "bob" else ("processing", ["repair"])
    assert (asked.status, steps("role", role="repair")) == expected


def test_a_decision_after_a_cancel_is_refused(asked: Task) -> None:
    step = decision()
    asked.cancel()
    with pytest.raises(DecisionTaken):
        accept(task_id=asked.pk, step_id=step.pk, actor="ann", reason="")
    step.refresh_from_db()
    assert (step.state, step.waits_for) == ("cancelled", None)
    asked.refresh_from_db()
    assert (asked.status, asked.has_result) == ("cancelled", False)
    assert not Event.objects.filter(kind="decision").exists()


def refused(task_id: UUID, step_id: UUID) -> bool:
    with pytest.raises(DecisionTaken):
        accept(task_id=task_id, step_id=step_id, actor="ann", reason="")
    return not Event.objects.filter(kind="decision").exists()


def test_no_other_step_can_be_decided_about(worker: Hand, asked: Task) -> None:
    running = worker.claims.claim_task(TaskFactory().pk)
    assert running is not None
    assert refused(running.task_id, running.step_id)
    # Of the task itself, the step that carried it out, and the one that judged it.
    for pk in Step.objects.filter(task=asked).exclude(role="decide").values_list("pk", flat=True):
        assert refused(asked.pk, pk)
    assert refused(asked.pk, uuid4())
    # The decision of another task.
    assert refused(running.task_id, decision().pk)


# Too late


def test_a_decision_that_nobody_makes_expires(
    reflex_layer: ScriptedReflexLayer, asked: Task
) -> None:
    worker = Hand(options=RunOptions(undecided=Undecided.ASK, decision_seconds=DAY))
    advance(DAY - 60)
    worker.reconcile()
    asked.refresh_from_db()
    assert asked.status == "processing"
    advance(61)
    worker.reconcile()
    asked.refresh_from_db()
    assert (asked.status, failure(asked), result(asked)) == (
        "failed", "decision_expired", "Thank you",
    )  # fmt: skip
    event = Event.objects.get(kind="decision")
    assert (event.actor, event.actor_kind, event.data) == ("", "service", {"outcome": "expired"})
    assert verdicts(asked) == [("met", "arm"), ("undecided", "arm")]
    with pytest.raises(DecisionTaken):
        accept(task_id=asked.pk, step_id=Step.objects.get(role="decide").pk, actor="ann", reason="")


def test_a_decision_that_cannot_be_ended_does_not_keep_others_from_their_end(
    reflex_layer: ScriptedReflexLayer, worker: Hand, asked: Task, arm: ScriptedArm
) -> None:
    other = carried_out(worker, acceptance_criteria=[POLITE, FUNNY])
    Run.objects.filter(task=asked).update(verdicts=[{"verdict": "of SQL"}])
    advance(DAY + 1)
    Hand(options=RunOptions(undecided=Undecided.ASK, decision_seconds=DAY))
    assert failure(asked) is None
    assert failure(other) == "decision_expired"
