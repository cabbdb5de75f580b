"""The runs on the page of a task: steps, attempts, calls, budgets, and why a run failed."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.console.execution import calls, runs
from orchestrator_site.console.execution.waiting import in_words
from tasks.execution.failures import FailureCode
from tasks.models import Event, Run, Step, Task
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import (
    an_arm,
    attempt_at,
    call_of,
    carried_out,
    step_of,
)
from tests.orchestrator_site.console.tasks.console_actions import console_of, start_worker
from tests.staff import staff
from tests.tasks.actions import failed_with, waiting

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 28, 12, 3, 11, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "view_arm", "view_receipt"))


def page(console: Client, task: Task) -> str:
    response = console.get(f"/admin/tasks/task/{task.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def words(content: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", content)).split())


def runs_shown(console: Client, task: Task) -> str:
    return words(page(console, task).partition('id="runs"')[2].partition('id="timeline"')[0])


def test_task_without_a_run_says_so(console: Client) -> None:
    assert "None yet: no worker has looked at the task." in runs_shown(console, TaskFactory())


def test_page_shows_steps_attempts_and_calls(console: Client) -> None:
    task = carried_out()
    shown = runs_shown(console, task)
    for text in (
        "Run 1",
        "1234 of 10000 spent",
        "0.0125 of 1.00 spent",
        "Time of calls 2.5 s",
        f"Step 1 ✓ Done Done at {Step.objects.get().ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Key: {Step.objects.get().pk}",
        "helper succeeded 2.50 s 1234 0.0125",
        "alpha, process 4711 done 3.00 s",
    ):
        assert text in shown


def test_each_run_shows_the_calls_of_its_own_step(console: Client) -> None:
    task = TaskFactory(failed=True)
    for number in (1, 2, 3):
        carried_out(FailureCode.ARM_FAILED, task=task, number=number)
    for step in Step.objects.all():
        for number in (2, 3):
            attempt = attempt_at(step, number=number, ended_at=AT, outcome="retried", started_at=AT)
            detail = f"run {step.run.number} call {number}"
            call_of(attempt, number=number, outcome="refused", detail=detail)
    parts = runs_shown(console, task).split("Run ")[1:]
    found = [re.findall(r"run (\d) call (\d)", part) for part in parts]
    assert found == [[(run, "2"), (run, "3")] for run in "321"]


def test_failure_stands_at_the_top_and_at_its_run(console: Client) -> None:
    task = carried_out(FailureCode.ARM_FAILED)
    content = page(console, task)
    top = words(content.partition('id="content-main"')[2].partition("<h2>")[0])
    assert "Why it failed: The arm could not carry out the task. arm_failed" in top
    shown = runs_shown(console, task)
    assert 'class="now">Failed at' not in content.partition("<h2>")[0]
    assert "Run 1: arm_failed The arm could not carry out the task." in shown
    assert "1234 of 10000 spent (estimated)" in shown
    assert "helper failed 2.50 s 1234 0.0125 it broke" in shown


def test_run_says_when_its_time_ends(console: Client) -> None:
    run = Run.objects.create(task=TaskFactory(processing=True), number=1, started_at=AT, ends_at=AT)
    shown = runs_shown(console, run.task)
    assert "Its time ends at 2026-11-28 12:03:11 UTC, later if it waits" in shown


def test_failure_of_an_earlier_run_does_not_stand_at_the_top(console: Client) -> None:
    task = failed_with(FailureCode.TIMED_OUT)
    Task.objects.update(status="processing")
    Run.objects.create(task=task, number=2)
    assert "Why it failed" not in page(console, task)
    shown = runs_shown(console, task)
    assert shown.index("Run 2") < shown.index("Run 1: timed_out")


def test_open_call_shows_what_it_reserved(console: Client) -> None:
    step = step_of(
        Run.objects.create(task=TaskFactory(processing=True), number=1),
        state="running",
        arm=an_arm(),
    )
    call_of(attempt_at(step), outcome=None)
    shown = runs_shown(console, step.task)
    assert "Step 1 ◐ Running A worker carries it out now" in shown
    assert "helper goes on 5000 reserved 0.50 reserved" in shown


def test_only_the_newest_rows_are_shown(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_RUNS", 2)
    monkeypatch.setattr(calls, "MAX_ROWS", 2)
    task = carried_out(FailureCode.ARM_FAILED)
    for number in (2, 3):
        carried_out(FailureCode.ARM_FAILED, task=task, number=number)
    step = Step.objects.get(run__number=3)
    for number in (2, 3, 4):
        attempt = attempt_at(step, number=number, ended_at=AT, outcome="retried", started_at=AT)
        call_of(attempt, number=number, outcome="refused", detail=f"call number {number}")
    shown = runs_shown(console, task)
    assert ("Run 3" in shown, "Run 2" in shown, "Run 1" in shown) == (True, True, False)
    assert "... and 1 older." in shown
    assert ("call number 4" in shown, "call number 3" in shown) == (True, True)
    assert "call number 2" not in shown
    assert "... and 2 earlier calls." in shown
    assert "... and 2 earlier attempts." in shown


@pytest.mark.parametrize("count", [1, 10])
def test_page_takes_the_same_queries_for_many_runs(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    task = TaskFactory(failed=True)
    for number in range(1, count + 1):
        carried_out(FailureCode.TIMED_OUT, task=task, number=number)
    # Session, user, permissions (2), task, receipt, events, runs, steps, attempts, calls, pause.
    with django_assert_num_queries(12):
        page(console, task)


def test_receipts_of_answers_are_linked_for_those_who_may_see_them(console: Client) -> None:
    task = carried_out()
    link = f"/admin/safety/receipt/?occasion__exact=answer&amp;subject_id__exact={task.pk}"
    assert link in page(console, task)
    assert console.get(unescape(link)).status_code == 200
    assert link not in page(console, TaskFactory())
    assert link not in page(console_of(staff("view_task")), task)


def test_names_and_details_are_escaped(console: Client) -> None:
    task = carried_out()
    step = Step.objects.get()
    worker = start_worker(machine=SCRIPT)
    attempt = attempt_at(step, worker=worker, number=2, ended_at=AT, started_at=AT, outcome="lost")
    call_of(attempt, number=2, outcome="unknown", detail=SCRIPT)
    content = page(console, task)
    assert "<script>alert" not in content
    assert content.count("&lt;script&gt;alert(1)") == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Ready: the next free worker takes it"),
        ({"state": "running"}, "A worker carries it out now"),
        ({"wake_at": AT}, "Is tried again at 2026-11-28 12:03:11 UTC"),
        (
            {"waits_for": "room", "parked_at": AT},
            "Waits for room at an arm since 2026-11-28 12:03:11 UTC",
        ),
        (
            {"waits_for": "arm", "parked_at": AT, "waits_at": "coder"},
            "Waits for an arm since 2026-11-28 12:03:11 UTC; only coder may carry it out",
        ),
        ({"waits_for": "budget", "parked_at": AT}, "Waits for the budget of the day since"),
        ({"waits_for": "release", "parked_at": AT}, "Waits for its release since"),
        ({"waits_for": "resume", "parked_at": AT}, "Waits for the end of the pause since"),
        ({"waits_for": "decision", "parked_at": AT}, "Waits for a decision since"),
        ({"state": "waiting"}, "Waits for other steps of its plan"),
        ({"state": "cancelled", "ended_at": AT}, "Cancelled at 2026-11-28 12:03:11 UTC"),
    ],
)
def test_step_says_what_becomes_of_it(fields: dict[str, Any], said: str) -> None:
    step = Step(**{"state": "ready"} | fields)
    assert in_words(step).startswith(said)


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("run", {"run": 2}, "Run 2 began"),
        ("claim", {"run": 1, "step": 1, "attempt": 3}, "A worker claimed it: attempt 3"),
        ("call", {"run": 1, "step": 1, "call": 2, "arm": "coder"}, "Call 2 to arm coder"),
        (
            "retry",
            {"run": 1, "step": 1, "call": 2},
            "Call 2 brought no answer; it will be tried again",
        ),
        ("retry", {}, "Tried again at once"),
        ("park", {"run": 1, "step": 1, "waits_for": "room"}, "Waits for room at an arm"),
        (
            "recovery",
            {"run": 1, "attempt": 2},
            "The worker of attempt 2 was lost; another one takes over",
        ),
        ("result", {"run": 1, "step": 1}, "The result came"),
        ("release", {}, "Released"),
    ],
)
def test_timeline_tells_what_workers_did(
    kind: str, data: dict[str, Any], said: str, console: Client
) -> None:
    task = TaskFactory()
    Event.objects.create(task=task, kind=kind, actor_kind="service", data=data)
    assert f"<td>{said}</td>" in page(console, task)


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=1)])
def test_waiting_task_says_so_on_its_page(offset: timedelta, console: Client) -> None:
    step = waiting(wake_at=AT + offset)
    moment = f"{AT + offset:%H:%M:%S} UTC"
    assert f'<p class="now">Is tried again at 2026-11-28 {moment}.</p>' in page(console, step.task)
    assert f"Step 1 ○ Ready Is tried again at 2026-11-28 {moment}" in runs_shown(console, step.task)
