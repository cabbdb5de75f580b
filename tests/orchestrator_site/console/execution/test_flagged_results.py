"""Results that were made from a flagged answer, on the page of their task."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tasks.models import Run
from tests.factories import TaskFactory, TaskResultFactory
from tests.orchestrator_site.console.execution.carried_out import carried_out
from tests.orchestrator_site.console.execution.plans import add_step, planned
from tests.orchestrator_site.console.execution.test_runs import page, words
from tests.orchestrator_site.console.tasks.console_actions import console_of
from tests.staff import staff

pytestmark = pytest.mark.django_db

FLAGGED = {"verdict": "flagged"}


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "view_task_content"))


def heads(console: Client, run: Run) -> list[str]:
    """Return what follows the confidence of each result, the newest first."""
    found = re.findall(r"<h3>[^<]* UTC, confidence [^<]*(.*?)</h3>", page(console, run.task))
    return [words(head) for head in found]


@pytest.mark.parametrize(
    ("of_step", "mark"),
    [
        ({}, ""),
        ({"step_6": FLAGGED}, "⚑ Flagged answer"),
        ({"step_2": FLAGGED}, "⚑ Flagged answer"),
        ({"step_6": FLAGGED | {"state": "failed", "answer": None}}, ""),
    ],
    ids=["none", "its own step", "a step that was needed", "a step that failed"],
)
def test_result_of_a_plan(of_step: dict[str, Any], mark: str, console: Client) -> None:
    run = planned(**of_step)
    TaskResultFactory(task=run.task)
    assert heads(console, run) == [mark]


def test_result_of_a_repair_counts_what_the_repair_was_given(console: Client) -> None:
    run = planned()
    TaskResultFactory(task=run.task)
    add_step(run, 7, "judge", depends_on=[6], verdict="flagged")
    assert heads(console, run) == [""]
    add_step(run, 8, "repair", depends_on=[6])
    assert heads(console, run) == ["⚑ Flagged answer"]


def test_each_result_is_that_of_its_own_run(console: Client) -> None:
    task = TaskFactory(completed=True)
    first = planned(task, step_6=FLAGGED)
    Run.objects.update(ended_at=first.started_at)
    TaskResultFactory(task=task, created_at=first.started_at + timedelta(seconds=1))
    carried_out(task=task, number=2)
    newest = first.started_at + timedelta(seconds=20)
    Run.objects.filter(number=2).update(started_at=newest)
    TaskResultFactory(task=task, created_at=newest + timedelta(seconds=1))
    assert heads(console, first) == ["", "⚑ Flagged answer"]


def test_result_without_a_run_has_no_mark(console: Client) -> None:
    run = planned(step_6=FLAGGED)
    TaskResultFactory(task=run.task, created_at=run.started_at - timedelta(seconds=1))
    assert heads(console, run) == [""]
