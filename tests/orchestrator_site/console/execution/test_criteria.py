"""The acceptance criteria on the page of a task, with what was found about each."""

import pytest
from django.test import Client

from tasks.models import Run, Task
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.plans import new_run, undecided, verdict
from tests.orchestrator_site.console.execution.test_runs import page, words
from tests.orchestrator_site.console.tasks.console_actions import console_of
from tests.staff import staff

pytestmark = pytest.mark.django_db

CRITERIA = ["is short", "is kind", "is true", "is new"]
VERDICTS = [
    verdict("met", "rule", "It has 7 words."),
    verdict("not_met", "arm", "It is rude.", 0.875),
    undecided("The arm that was asked did not decide it.", "arm"),
    verdict("met", "person", "A person accepted the result."),
]


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "view_task_content"))


@pytest.fixture
def task() -> Task:
    made: Task = TaskFactory(completed=True, acceptance_criteria=CRITERIA)
    return made


def criteria_shown(console: Client, task: Task) -> str:
    return words(page(console, task).partition('id="criteria">')[2].partition("</section>")[0])


def test_before_the_first_check_there_is_just_the_list(console: Client) -> None:
    task = TaskFactory(processing=True, acceptance_criteria=CRITERIA)
    plain = "Acceptance criteria is short is kind is true is new"
    assert criteria_shown(console, task) == plain
    new_run(task)
    assert criteria_shown(console, task) == plain


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_criteria_of_an_ended_task_that_nobody_looked_at_say_so(
    status: str, console: Client
) -> None:
    task = TaskFactory(**{status: True}, acceptance_criteria=["is short", "is kind"])
    assert criteria_shown(console, task) == (
        "Acceptance criteria ? Not checked is short ? Not checked is kind"
    )
    # The arm that was asked has not answered.
    new_run(task, verdicts=[verdict("met", evidence="It has 7 words."), undecided("")])
    assert criteria_shown(console, task) == (
        "Acceptance criteria ✓ Met is short It has 7 words. By a rule, confidence 1 "
        "? Not checked is kind"
    )


def test_each_criterion_has_verdict_evidence_and_confidence(console: Client, task: Task) -> None:
    new_run(task, verdicts=VERDICTS)
    assert criteria_shown(console, task) == (
        "Acceptance criteria "
        "✓ Met is short It has 7 words. By a rule, confidence 1 "
        "✕ Not met is kind It is rude. By an arm, confidence 0.875 "
        "? Undecided is true The arm that was asked did not decide it. By an arm "
        "✓ Met is new A person accepted the result. By a person, confidence 1"
    )
    assert "Criteria 2 of 4 met, 1 not met, 1 undecided" in words(page(console, task))


def test_verdicts_are_those_of_the_newest_run(console: Client, task: Task) -> None:
    new_run(task, verdicts=VERDICTS)
    Run.objects.update(ended_at=Run.objects.get().started_at)
    new_run(task, number=2)
    assert "Met" not in criteria_shown(console, task)


def test_task_without_criteria_has_no_list_at_the_top(console: Client) -> None:
    content = page(console, TaskFactory())
    assert 'id="criteria"' not in content
    assert "Acceptance criteria None." in words(content)


def test_verdicts_that_do_not_fit_the_criteria_are_not_shown(console: Client) -> None:
    task = TaskFactory(acceptance_criteria={"from": "SQL"})
    new_run(task, verdicts=VERDICTS)
    assert criteria_shown(console, task) == "Acceptance criteria {'from': 'SQL'}"
