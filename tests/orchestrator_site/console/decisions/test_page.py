"""The page on which staff accept or reject a result."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks.execution.runs import decisions
from tasks.execution.runs.options import RunOptions
from tasks.models import Event, Step
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import make_arm
from tests.orchestrator_site.console.execution.plans import (
    add_step,
    new_run,
    planned,
    undecided,
    verdict,
    waiting_for_a_decision,
)
from tests.orchestrator_site.console.execution.test_runs import words
from tests.orchestrator_site.console.tasks.console_actions import console_of, content, said
from tests.staff import staff
from tests.tasks.actions import call_and_disconnect

pytestmark = pytest.mark.django_db

MAY = ("decide_task", "view_task_content", "view_task")
SCRIPT = "<script>alert(1)</script>"


def member(name: str) -> User:
    return staff(*MAY, name=name)


@pytest.fixture
def console() -> Client:
    return console_of(member("ada"))


def url(step: Step) -> str:
    return f"/admin/decisions/{step.pk}"


def decide(console: Client, step: Step, outcome: str = "accepted", **post: str) -> Any:
    return console.post(url(step), {"outcome": outcome, "reason": "it reads well"} | post)


def statuses(step: Step) -> tuple[str, str]:
    """Return the status of the task and the state of the step."""
    step.refresh_from_db()
    step.task.refresh_from_db()
    return step.task.status, step.state


def test_result_and_undecided_criteria_stand_side_by_side(console: Client) -> None:
    task = TaskFactory(
        processing=True, goal="Write to them", acceptance_criteria=["is short", "is kind", "is new"]
    )
    judged = [verdict("met", evidence="It has 3 words."), undecided(), undecided("Hm.", "arm")]
    run = new_run(task, verdicts=judged)
    for number in (1, 2):
        add_step(run, number, answer={"text": f"answer {number}"})
    step = add_step(
        run,
        3,
        "decide",
        state="ready",
        waits_for="decision",
        parked_at=run.started_at,
        depends_on=[1, 2],
    )
    shown = words(content(console.get(url(step))))
    beside = shown.partition("Result From ")[2]
    assert beside.startswith(
        'step 1 , step 2 { "1": { "text": "answer 1" }, "2": { "text": "answer 2" } } '
        "Undecided criteria ? Undecided is kind No other arm can judge it. "
        "? Undecided is new Hm. By an arm "
        "Other criteria (1) ✓ Met is short It has 3 words. By a rule, confidence 1 Decide Reason:"
    )
    assert "Goal Write to them" in shown
    assert f"Waits since {run.started_at:%Y-%m-%d %H:%M:%S} UTC Expires at" in shown


def test_result_made_with_a_flagged_answer_is_marked(console: Client) -> None:
    run = planned(step_2={"verdict": "flagged"})
    step = add_step(
        run,
        7,
        "decide",
        state="ready",
        waits_for="decision",
        parked_at=run.started_at,
        depends_on=[6],
    )
    page = content(console.get(url(step)))
    assert "⚑ Made with a flagged answer of step 2 , by way of step 6" in words(page)
    task = f"/admin/tasks/task/{run.task_id}/change/"
    assert f'<a href="{task}#run-1-step-2">step 2</a>' in page


def test_page_says_what_each_button_does_and_who_reads_the_reason(console: Client) -> None:
    page = content(console.get(url(waiting_for_a_decision())))
    accept, reject = re.findall(r"<button (.*?)>(?:Accept|Reject)</button>", page)
    assert accept.startswith('class="button default"')
    assert reject.startswith('class="button destructive"')
    assert (
        "Accept completes the task; Reject has the result repaired if you say what to do better, "
        "and otherwise lets the task fail."
    ) in words(page)
    assert "All staff who may see the task see it in the timeline." in page


def test_accepted_result_completes_its_task(console: Client) -> None:
    step = waiting_for_a_decision()
    response = decide(console, step)
    assert response["Location"] == "/admin/decisions"
    assert said(response) == [f"Accepted: task {str(step.task_id)[:8]} is completed."]
    assert statuses(step) == ("completed", "done")
    assert step.answer == {"outcome": "accepted", "reason": "it reads well", "wish": ""}
    event = Event.objects.get(kind="decision")
    assert (event.actor, event.reason) == ("ada", "it reads well")


def test_rejected_result_fails_its_task(console: Client) -> None:
    step = waiting_for_a_decision()
    response = decide(console, step, "rejected", reason="it is rude", wish="  ")
    assert said(response) == [f"Rejected: task {str(step.task_id)[:8]} has failed."]
    assert statuses(step) == ("failed", "done")
    step.run.refresh_from_db()
    assert step.run.failure_code == "criteria_not_met"


def test_wish_leads_to_one_more_repair(console: Client) -> None:
    make_arm("other")
    step = waiting_for_a_decision()
    response = decide(console, step, "rejected", wish="Be kind.\r\nAnd short.")
    assert said(response) == [f"Rejected: task {str(step.task_id)[:8]} is repaired once more."]
    assert statuses(step) == ("processing", "done")
    repair = Step.objects.get(role="repair")
    assert (repair.action, repair.depends_on) == ("Be kind.\nAnd short.", [1])


@pytest.mark.parametrize(
    "post",
    [
        {"reason": ""},
        {"reason": " "},
        {"reason": "x" * 501},
        {"wish": "but better"},
        {"outcome": "rejected", "wish": "x" * 2_001},
        {"outcome": "rejected", "wish": "\0"},
    ],
    ids=["no reason", "blank reason", "long reason", "accepted with a wish", "long wish", "zero"],
)
def test_form_says_what_is_wrong(post: dict[str, str], console: Client) -> None:
    step = waiting_for_a_decision()
    assert 'class="errorlist"' in content(decide(console, step, **{"outcome": "accepted"} | post))
    assert statuses(step) == ("processing", "ready")


@pytest.mark.parametrize("outcome", ["", "expired", "nonsense"])
def test_unknown_outcome_is_refused(outcome: str, console: Client) -> None:
    step = waiting_for_a_decision()
    assert decide(console, step, outcome).status_code == 400
    assert statuses(step) == ("processing", "ready")


def test_after_all_repairs_none_can_be_asked_for(console: Client) -> None:
    step = waiting_for_a_decision()
    for number in range(3, 8):
        add_step(step.run, number, "repair", action="better", answer="x")
    page = content(console.get(url(step)))
    assert "What to do better" not in page
    assert "since staff have asked for all repairs that a task may have." in page
    decide(console, step, "rejected", wish="better")
    assert statuses(step) == ("failed", "done")


@pytest.mark.parametrize("act", ["get", "post"])
def test_second_decision_is_told_of_the_first(act: str, console: Client) -> None:
    step = waiting_for_a_decision()
    decide(console_of(member("eve")), step, "rejected", reason="it is rude")
    step.refresh_from_db()
    response = decide(console, step) if act == "post" else console.get(url(step))
    assert response["Location"] == "/admin/decisions"
    assert said(response) == [
        f"Task {str(step.task_id)[:8]}: Somebody else has decided already: eve rejected the result "
        f"at {step.ended_at:%Y-%m-%d %H:%M:%S} UTC, because: it is rude"
    ]
    assert statuses(step) == ("failed", "done")
    assert Event.objects.filter(kind="decision").count() == 1


def test_double_click_is_told_that_it_was_decided(console: Client) -> None:
    step = waiting_for_a_decision()
    decide(console, step)
    assert "You have decided already: ada accepted" in said(decide(console, step))[-1]


def test_earlier_decision_of_a_task_is_told_by_its_own_actor(console: Client) -> None:
    make_arm("other")
    first = waiting_for_a_decision()
    decide(console_of(member("eve")), first, "rejected", wish="better")
    repair = Step.objects.get(role="repair")
    Step.objects.filter(pk=repair.pk).update(state="done", ended_at=first.created_at, answer="new")
    second = add_step(
        first.run,
        4,
        "decide",
        state="ready",
        waits_for="decision",
        parked_at=first.created_at,
        depends_on=[3],
    )
    decide(console_of(member("bob")), second)
    assert "eve rejected the result" in said(console.get(url(first)))[-1]
    assert "bob accepted the result" in said(console.get(url(second)))[-1]


def test_expired_decision_is_told(console: Client) -> None:
    step = waiting_for_a_decision()
    assert decisions.expire(RunOptions(decision_seconds=-1)) == 1
    assert said(decide(console, step)) == [
        f"Task {str(step.task_id)[:8]}: Nobody decided about the result in time, so the task has "
        "failed."
    ]
    assert statuses(step) == ("failed", "done")


def test_cancelled_task_needs_no_decision(console: Client) -> None:
    step = waiting_for_a_decision()
    step.task.cancel(actor="eve")
    assert said(decide(console, step)) == [
        f"Task {str(step.task_id)[:8]}: Nobody has to decide any more: the task has ended "
        "(cancelled)."
    ]


def test_other_steps_are_no_decisions(console: Client) -> None:
    step = waiting_for_a_decision()
    other = Step.objects.get(run=step.run, number=1)
    for path in (url(other), f"/admin/decisions/{uuid4()}"):
        response = console.get(path)
        assert response["Location"] == "/admin/decisions"
        assert said(response)[-1] == "There is no such decision."
    assert console.get("/admin/decisions/nonsense").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_at_once_one_wins_and_the_other_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = waiting_for_a_decision()
    consoles = [console_of(member(name)) for name in ("ada", "eve")]
    # Both have found that it waits.
    both = Barrier(2, timeout=20)
    decide_now: Callable[..., None] = decisions._decide

    def together(*args: Any, **options: Any) -> None:
        both.wait()
        decide_now(*args, **options)

    monkeypatch.setattr(decisions, "_decide", together)
    with ThreadPoolExecutor(2) as threads:
        answers = [
            threads.submit(call_and_disconnect, lambda one=one: decide(one, step))
            for one in consoles
        ]
        told = sorted(said(answer.result())[-1] for answer in answers)
    winner = Event.objects.get(kind="decision").actor
    task = str(step.task_id)[:8]
    assert told[0] == f"Accepted: task {task} is completed."
    assert told[1].startswith(f"Task {task}: Somebody else has decided already: {winner} accepted")


@pytest.mark.parametrize("missing", MAY[:2])
def test_deciding_needs_both_permissions(missing: str) -> None:
    step = waiting_for_a_decision()
    other = console_of(staff(*(codename for codename in MAY if codename != missing)))
    assert other.get("/admin/decisions").status_code == 403
    assert other.get(url(step)).status_code == 403
    assert decide(other, step).status_code == 403
    assert "/admin/decisions" not in other.get("/admin/").content.decode()
    assert statuses(step) == ("processing", "ready")


def test_request_without_the_csrf_token_changes_nothing() -> None:
    step = waiting_for_a_decision()
    strict = console_of(member("ada"), enforce_csrf_checks=True)
    assert decide(strict, step).status_code == 403
    assert statuses(step) == ("processing", "ready")


def test_all_texts_are_escaped(console: Client) -> None:
    task = TaskFactory(processing=True, goal=SCRIPT, acceptance_criteria=[SCRIPT, SCRIPT])
    step = waiting_for_a_decision(task)
    Step.objects.filter(number=1).update(answer={SCRIPT: SCRIPT})
    step.run.verdicts = [undecided(SCRIPT), verdict("met", evidence=SCRIPT)]
    step.run.save()
    assert "<script>alert" not in content(console.get(url(step)))
    assert "<script>alert" not in content(decide(console, step, reason=SCRIPT, wish=SCRIPT))
    decide(console_of(member("eve")), step, reason=SCRIPT)
    assert "<script>alert" not in content(
        console.post(url(step), {"outcome": "accepted", "reason": "x"}, follow=True)
    )


def test_staff_who_may_not_see_tasks_get_no_links_to_them() -> None:
    step = waiting_for_a_decision()
    other = console_of(staff(*MAY[:2]))
    assert "/admin/tasks/task/" not in content(other.get(url(step)))
    decide(other, step)
    assert "/admin/tasks/task/" not in content(other.get("/admin/decisions"))


@pytest.mark.parametrize("count", [1, 10])
def test_page_takes_the_same_queries_for_many_steps(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    step = waiting_for_a_decision()
    for number in range(3, 3 + count):
        add_step(step.run, number, answer="x")
    # Session, user, permissions (2), decision, steps, answers, pause.
    with django_assert_num_queries(8):
        content(console.get(url(step)))
