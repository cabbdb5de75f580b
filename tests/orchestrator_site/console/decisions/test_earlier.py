"""What the page of a decision says about the task and about earlier decisions."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator_site.console.decisions import earlier
from tasks.models import Event, Step
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.plans import add_step, waiting_for_a_decision
from tests.orchestrator_site.console.execution.test_runs import words
from tests.orchestrator_site.console.tasks.console_actions import console_of, content
from tests.staff import staff

pytestmark = pytest.mark.django_db

MAY = ("decide_task", "view_task_content", "view_task")
SCRIPT = "<script>alert(1)</script>"
NOW = timezone.now()


@pytest.fixture
def console() -> Client:
    return console_of(staff(*MAY))


def folded(console: Client, step: Step) -> dict[str, str]:
    """Return the words of each folded part of the page by its summary."""
    page = content(console.get(f"/admin/decisions/{step.pk}"))
    background = page.partition('<div class="folds">')[2].partition("</section>")[0]
    parts = re.findall(r"<summary>(.*?)</summary>(.*?)</details>", background, re.DOTALL)
    return {summary: words(part) for summary, part in parts}


def asked_before(step: Step, count: int, **answer: str) -> None:
    """Let staff have decided so many times before; `ada1` first."""
    for number in range(1, count + 1):
        at = NOW - timedelta(hours=count - number + 1)
        decided = {"outcome": "rejected", "reason": f"reason {number}", "wish": f"wish {number}"}
        fields = {"depends_on": [1], "created_at": at, "ended_at": at}
        add_step(step.run, 100 + number, "decide", answer=decided | answer, **fields)
        event = {"actor": f"ada{number}", "actor_kind": "staff", "data": {"outcome": "rejected"}}
        Event.objects.create(task=step.task, kind="decision", created_at=at, **event)


def test_context_and_constraints_are_folded(console: Client) -> None:
    task = TaskFactory(
        processing=True,
        acceptance_criteria=["a", "b"],
        context={"a": 1},
        constraints=["in English", "no names"],
    )
    assert folded(console, waiting_for_a_decision(task)) == {
        "Context": '{ "a": 1 }',
        "Constraints (2)": "in English no names",
    }


def test_what_there_is_not_is_left_out(console: Client) -> None:
    task = TaskFactory(processing=True, acceptance_criteria=["a", "b"], context={}, constraints=[])
    assert folded(console, waiting_for_a_decision(task)) == {}


def test_earlier_decisions_say_who_decided_what_when_and_why(console: Client) -> None:
    step = waiting_for_a_decision()
    asked_before(step, 2)
    first, second = (f"{NOW - timedelta(hours=hours):%Y-%m-%d %H:%M:%S} UTC" for hours in (2, 1))
    assert folded(console, step)["Asked before (2)"] == (
        f"✕ Rejected by ada2 at {second} Reason: reason 2 What to do better: wish 2 "
        "About the answer of step 1 "
        f"✕ Rejected by ada1 at {first} Reason: reason 1 What to do better: wish 1 "
        "About the answer of step 1"
    )
    page = content(console.get(f"/admin/decisions/{step.pk}"))
    link = f"/admin/tasks/task/{step.task_id}/change/#run-1-step-1"
    assert page.count(f'About the answer of <a href="{link}">step 1</a>') == 2
    other = console_of(staff(*MAY[:2]))
    assert "About the answer of" not in folded(other, step)["Asked before (2)"]


def test_only_the_newest_earlier_decisions_are_shown(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "MAX_EARLIER", 2)
    step = waiting_for_a_decision()
    asked_before(step, 3)
    shown = folded(console, step)["Asked before (2)"]
    assert re.findall(r"ada\d|reason \d", shown) == ["ada3", "reason 3", "ada2", "reason 2"]


def test_texts_of_clients_and_staff_are_escaped(console: Client) -> None:
    task = TaskFactory(
        processing=True,
        acceptance_criteria=["a", "b"],
        context={SCRIPT: SCRIPT},
        constraints=[SCRIPT, {SCRIPT: 1}],
    )
    step = waiting_for_a_decision(task)
    asked_before(step, 1, outcome=SCRIPT, reason=SCRIPT, wish=SCRIPT)
    assert "<script>alert" not in content(console.get(f"/admin/decisions/{step.pk}"))


@pytest.mark.parametrize("count", [1, 6])
def test_page_takes_one_query_more_for_all_earlier_decisions(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    step = waiting_for_a_decision()
    asked_before(step, count)
    # Session, user, permissions (2), decision, steps, answers, events, pause.
    with django_assert_num_queries(9):
        content(console.get(f"/admin/decisions/{step.pk}"))
