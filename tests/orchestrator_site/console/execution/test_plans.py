"""A run with a plan on the page of its task: what each step is, was given, brought and used."""

import re
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.console.execution import answers
from tasks.execution.failures import FailureCode
from tasks.models import Run, Step, Task
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import carried_out, make_arm
from tests.orchestrator_site.console.execution.plans import (
    add_plan,
    add_step,
    add_steps,
    new_run,
    planned,
    usage,
    verdict,
    waiting_for_a_decision,
)
from tests.orchestrator_site.console.execution.test_runs import page, runs_shown, words
from tests.orchestrator_site.console.tasks.console_actions import console_of
from tests.staff import staff

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "view_task_content", "view_arm"))


@pytest.fixture
def viewer() -> Client:
    return console_of(staff("view_task"))


def step_shown(console: Client, run: Run, anchor: str) -> str:
    """Return the words of one step of a plan."""
    content = page(console, run.task)
    found = re.search(rf'<li id="run-{run.number}-{anchor}".*?\n</li>', content, re.DOTALL)
    assert found, anchor
    return words(found[0].partition(">")[2])


def test_step_shows_what_it_does_needs_and_used(console: Client) -> None:
    run = planned(step_4={"pinned_arm": "helper"})
    step = Step.objects.get(number=4)
    shown = step_shown(console, run, "step-4")
    assert shown.startswith(
        f"Step 4 ✓ Done Done at {step.ended_at:%Y-%m-%d %H:%M:%S} UTC "
        "Compare the kettle with the toaster "
        "After step 1 , step 2 , with their answers "
        "helper pinned to helper 1 try 1234 tokens 0.0125 dollars 2.50 s planned: 4 s "
        'Answer "the answer of step 4" '
        f"Key, calls and attempts Key: {step.pk} Calls"
    )
    content = page(console, run.task)
    assert '<a href="#run-1-step-1">step 1</a>, <a href="#run-1-step-2">step 2</a>' in content


def test_plan_check_repair_and_decision_say_what_they_are_about(console: Client) -> None:
    run = planned()
    why = [{"criterion": "is kind", "why": "it is rude"}]
    add_step(run, 7, "judge", depends_on=[6], acceptance_criteria=["is kind"], answer={})
    add_step(run, 8, "repair", depends_on=[6], faults=why, action="Smile", answer="better")
    decided = {"outcome": "rejected", "reason": "still rude", "wish": "Smile"}
    add_step(run, 9, "decide", depends_on=[4, 6], answer=decided)
    add_plan(run, 2, depends_on=[1, 2])
    check = step_shown(console, run, "step-7")
    assert check.startswith("Check 7 ✓ Done")
    assert "Checks the answer of step 6" in check
    assert "Criteria that it was asked about (1) is kind" in check
    repair = step_shown(console, run, "step-8")
    assert repair.startswith("Repair 8 ✓ Done")
    assert "Staff asked for: Smile Repairs the answer of step 6 Not met: is kind : it is rude" in (
        repair
    )
    decision = step_shown(console, run, "step-9")
    assert decision.startswith("Decision 9 ✕ Rejected at ")
    assert "Reason: still rude About the answers of step 4 , step 6" in decision
    assert "Key" not in decision
    assert step_shown(console, run, "plan-1").startswith("Plan ✓ Done Done at")
    assert "With the answers of step 1 , step 2" in step_shown(console, run, "plan-2")


@pytest.mark.parametrize(
    ("outcome", "look", "label"),
    [
        ("accepted", "done", "✓ Accepted"),
        ("rejected", "failed", "✕ Rejected"),
        ("expired", "cancelled", "⊘ Expired"),
        # SQL can store others.
        ("other", "done", "✓ Done"),
    ],
)
def test_decision_looks_like_its_outcome(
    outcome: str, look: str, label: str, viewer: Client
) -> None:
    run = planned()
    step = add_step(run, 7, "decide", depends_on=[6], answer={"outcome": outcome})
    shown = step_shown(viewer, run, "step-7")
    assert shown.startswith(f"Decision 7 {label} at {step.ended_at:%Y-%m-%d %H:%M:%S} UTC About")
    assert f'<li id="run-1-step-7" class="plan-step plan-step-{look}">' in page(viewer, run.task)


def test_decision_that_waits_is_not_called_ready(viewer: Client) -> None:
    step = waiting_for_a_decision()
    shown = step_shown(viewer, step.run, "step-2")
    since = f"{step.parked_at:%Y-%m-%d %H:%M:%S} UTC"
    assert shown.startswith(f"Decision 2 ○ Waits for a decision since {since} About")


def test_cancelled_decision_says_so(viewer: Client) -> None:
    step = waiting_for_a_decision()
    step.task.cancel()
    assert step_shown(viewer, step.run, "step-2").startswith("Decision 2 ⊘ Cancelled at ")


def test_steps_are_grouped_by_the_revision_of_the_plan(console: Client) -> None:
    run = planned()
    assert "Revision" not in runs_shown(console, run.task)
    add_plan(run, 2)
    add_step(run, 7, revision=2, action="in another way")
    shown = runs_shown(console, run.task)
    heads = re.findall(r"Revision \d|Plan \d|Plan\b|Step \d", shown)
    steps = [f"Step {number}" for number in range(1, 7)]
    assert heads == ["Revision 1", "Plan", *steps, "Revision 2", "Plan 2", "Step 7"]


def test_refused_plan_shows_its_faults(console: Client, viewer: Client) -> None:
    run = new_run()
    add_plan(run)
    add_plan(run, 2, faults=["Step 3 depends on itself."])
    assert "Plan ✓ Done ✕ Refused" in step_shown(console, run, "plan-1")
    assert "Why it was refused: Step 3 depends on itself." in step_shown(console, run, "plan-1")
    assert "Refused" not in step_shown(console, run, "plan-2")
    Run.objects.update(failure_code=FailureCode.PLAN_INVALID, ended_at=run.started_at)
    assert "Plan 2 ✓ Done ✕ Refused" in step_shown(viewer, run, "plan-2")


def test_step_that_failed_says_why(console: Client) -> None:
    run = new_run()
    add_plan(run)
    add_step(run, 1, state="failed", failure_code="output_refused")
    shown = step_shown(console, run, "step-1")
    assert "output_refused The arm's answer was refused by the safety check." in shown


def test_flagged_answer_is_marked_on_every_step_that_used_it(viewer: Client) -> None:
    run = planned(step_2={"verdict": "flagged"})
    add_step(run, 7, "judge", depends_on=[6])
    assert "Step 2 ✓ Done ⚑ Flagged answer" in step_shown(viewer, run, "step-2")
    marks = {}
    for anchor in ("plan-1", *(f"step-{number}" for number in range(1, 8))):
        found = re.search(r"⚑ (Given .*?) helper", step_shown(viewer, run, anchor))
        marks[anchor] = found[1] if found else ""
    assert {anchor: mark for anchor, mark in marks.items() if mark} == {
        "step-4": "Given a flagged answer of step 2",
        "step-6": "Given a flagged answer of step 2 , by way of step 4",
        "step-7": "Given a flagged answer of step 2 , by way of step 6",
    }


def test_step_that_has_not_begun_will_be_given_a_flagged_answer(viewer: Client) -> None:
    later = {"state": "waiting", "answer": None, "verdict": None}
    run = planned(
        step_2={"verdict": "flagged"}, step_4=later, step_6=later | {"state": "cancelled"}
    )
    assert "⚑ Will be given a flagged answer of step 2" in step_shown(viewer, run, "step-4")
    assert "flagged" not in step_shown(viewer, run, "step-6")


def test_run_of_one_step_is_shown_without_a_plan(console: Client) -> None:
    task = carried_out()
    Step.objects.update(verdict="flagged")
    content = page(console, task)
    assert "Step 1 ✓ Done ⚑ Flagged answer Done at" in words(content)
    for part in ('class="plan"', "What its calls used", "Key, calls and attempts"):
        assert part not in content


def test_older_plans_are_folded(console: Client) -> None:
    run = planned(TaskFactory(failed=True))
    Run.objects.update(ended_at=run.started_at)
    assert "<summary>Its 7 steps</summary>" not in page(console, run.task)
    carried_out(FailureCode.ARM_FAILED, task=run.task, number=2)
    assert "<summary>Its 7 steps</summary>" in page(console, run.task)


def test_usage_is_added_up_for_each_role(viewer: Client) -> None:
    run = planned()
    check = add_step(run, 7, "judge", depends_on=[6])
    add_step(run, 8, "repair", depends_on=[6])
    usage(check, is_estimated=True, tokens=100, cost_usd=1)
    shown = runs_shown(viewer, run.task)
    assert (
        "What its calls used For Calls Tokens Dollars Duration "
        "Planning 1 1234 0.0125 2.50 s Steps 6 7404 0.075 15.00 s Repairs 1 1234 0.0125 2.50 s "
        "Checks (estimated) 1 100 1.00 2.50 s Total (estimated) 9 9972 1.10 22.50 s"
    ) in shown
    assert "0 of 10000 spent" in shown


@pytest.mark.parametrize(
    ("of_step", "said"),
    [
        ({}, ""),
        ({"step_6": {"state": "running", "answer": None}}, "Step 6: A worker carries it out now"),
        (
            {
                "step_4": {"state": "running", "answer": None},
                "step_5": {"state": "ready", "answer": None},
                "step_6": {"state": "waiting", "answer": None},
            },
            "3 of 6 steps are done, 1 is being carried out, 2 wait",
        ),
    ],
    ids=["none", "one", "several"],
)
def test_page_says_how_far_the_plan_is(of_step: Any, said: str, viewer: Client) -> None:
    content = page(viewer, planned(**of_step).task)
    assert re.findall(r'<p class="now">(.*)\.</p>', content) == ([said] if said else [])


SECRETS = {
    "action": "SECRET",
    "acceptance_criteria": ["SECRET"],
    "answer": {"SECRET": "SECRET"},
}


def test_what_arms_and_staff_wrote_is_hidden_from_staff_without_the_permission(
    console: Client, viewer: Client
) -> None:
    task = TaskFactory(failed=True, acceptance_criteria=["SECRET"])
    run = new_run(task, verdicts=[verdict("not_met", evidence="SECRET")])
    add_plan(run, answer={"steps": "SECRET"})
    add_plan(run, 2, faults=["SECRET"])
    add_step(run, 1, revision=2, **SECRETS)
    reasons = [{"criterion": "SECRET", "why": "SECRET"}]
    add_step(run, 2, "repair", revision=2, faults=reasons, **SECRETS)
    decided = {"outcome": "rejected", "reason": "SECRET", "wish": "SECRET"}
    add_step(run, 3, "decide", revision=2, answer=decided)
    # Criterion, evidence, plan, its fault, and of the step: action, criterion, answer (2); of the
    # repair those, and criterion and evidence; of the decision the reason.
    assert page(console, task).count("SECRET") == 15
    content = page(viewer, task)
    assert "SECRET" not in content
    assert "✕ Rejected" in words(content)
    assert "Criteria 0 of 1 met, 1 not met" in words(content)


def test_texts_are_escaped(console: Client) -> None:
    task = TaskFactory(failed=True, acceptance_criteria=[SCRIPT])
    run = new_run(task, verdicts=[verdict("not_met", evidence=SCRIPT)])
    add_plan(run, answer=SCRIPT)
    texts = {"action": SCRIPT, "acceptance_criteria": [SCRIPT], "answer": {SCRIPT: SCRIPT}}
    add_step(run, 1, pinned_arm=SCRIPT, **texts)
    reasons = [{"criterion": SCRIPT, "why": SCRIPT}]
    add_step(run, 2, "repair", faults=reasons, **texts)
    decided = {"outcome": SCRIPT, "reason": SCRIPT, "wish": SCRIPT}
    add_step(run, 3, "decide", answer=decided)
    assert "<script>alert" not in page(console, task)


def test_long_answer_is_cut(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_CHARACTERS", 10)
    run = planned(step_1={"answer": "x" * 30})
    shown = step_shown(console, run, "step-1")
    assert 'Answer "xxxxxxxxx… The first 10 of 32 characters.' in shown


@pytest.mark.parametrize(("limit", "most"), [("MAX_ANSWERS", 3), ("MAX_STORED_BYTES", 150)])
def test_only_some_of_many_answers_are_shown(
    limit: str, most: int, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, limit, most)
    run = planned()
    shown = runs_shown(console, run.task)
    assert "the action in the plan" in shown
    assert "the answer of step 1" in shown
    assert "the answer of step 6" not in shown
    assert "Not shown: this task has too many answers, or too long ones." in shown


def test_task_that_waits_for_a_decision_links_to_it() -> None:
    step = waiting_for_a_decision()
    link = f'<a href="/admin/decisions/{step.pk}">Decide…</a>'
    may = ("view_task", "view_task_content", "decide_task")
    content = page(console_of(staff(*may)), step.task)
    assert link in content
    assert "Waits for a decision since" in words(content)
    for others in (may[:2], may[::2]):
        assert link not in page(console_of(staff(*others)), step.task)


@pytest.mark.parametrize("count", [1, 4])
def test_page_takes_the_same_queries_for_many_plans(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    task: Task = TaskFactory(failed=True)
    make_arm()
    for number in range(1, count + 1):
        run = new_run(task, number=number)
        add_plan(run)
        add_steps(run)
        Run.objects.update(ended_at=run.started_at)
    # Session, user, permissions (2), task, receipt, events, runs, steps, attempts, calls, answers,
    # results, pause.
    with django_assert_num_queries(14):
        page(console, task)
