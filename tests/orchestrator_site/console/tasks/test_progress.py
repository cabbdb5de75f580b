"""The page of a confirmed action, which workers carry out, and the tick for unknown outcomes."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tasks import bulk
from tasks.execution.failures import FailureCode
from tasks.models import Action, Event, Worker
from tests.factories import TaskFactory
from tests.orchestrator_site.console.tasks.console_actions import (
    ACTIONS,
    TASKS,
    chosen_page,
    confirm,
    console_of,
    content,
    start_worker,
    statuses,
    work,
    work_a_step,
)
from tests.staff import staff
from tests.tasks.actions import failed_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "view_task_content", "operate_task", name="ada"))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One task in each step."""
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 1)


@pytest.mark.usefixtures("slow")
def test_page_shows_the_progress_until_the_end(console: Client) -> None:
    start_worker()
    page = chosen_page(console, *TaskFactory.create_batch(3))
    confirm(console, page)
    for done in range(3):
        answer = content(console.get(page))
        assert f"{done} of 3 tasks processed, {done} cancelled." in answer
        assert f'<progress max="3" value="{done}"' in answer
        assert f'<a href="{page}" id="refresh">Refresh</a>' in answer
        assert "A worker carries the action out" in answer
        work_a_step()
    answer = content(console.get(page))
    assert "3 tasks cancelled." in answer
    assert 'name="step"' not in answer
    assert 'id="refresh"' not in answer
    assert statuses() == ["cancelled"] * 3


def test_showing_the_progress_does_none_of_the_work(console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    confirm(console, page)
    for _ in range(3):
        console.get(page)
    assert statuses() == ["pending"]
    assert console.post(page, {"step": "continue"}).status_code == 400


def test_page_says_that_no_worker_runs(console: Client) -> None:
    stopped = start_worker(ended_at=datetime.now(UTC))
    lost = start_worker(seen_at=datetime.now(UTC) - timedelta(minutes=1))
    page = chosen_page(console, TaskFactory())
    confirm(console, page)
    text = "No worker is running, so the action waits."
    assert text in content(console.get(page))
    assert ">waiting</td>" in content(console.get(ACTIONS))
    start_worker()
    assert text not in content(console.get(page))
    Worker.objects.exclude(pk__in=[stopped.pk, lost.pk]).delete()
    work()
    assert text not in content(console.get(page))


@pytest.mark.usefixtures("slow")
def test_action_can_be_stopped(console: Client) -> None:
    page = chosen_page(console, *TaskFactory.create_batch(3))
    confirm(console, page)
    work_a_step()
    assert console.post(page, {"step": "stop"})["Location"] == page
    assert "Stopped: 1 of 3 tasks processed, 1 cancelled." in content(console.get(page))
    confirm(console, page, "once more")
    work()
    assert statuses() == ["cancelled", "pending", "pending"]
    assert "stopped" in content(console.get(ACTIONS))


@pytest.mark.usefixtures("slow")
def test_several_actions_go_on_at_once(console: Client) -> None:
    pages = [chosen_page(console, *TaskFactory.create_batch(2)) for _ in range(2)]
    for page in pages:
        confirm(console, page)
    work_a_step()
    for page in pages:
        assert "1 of 2 tasks processed" in content(console.get(page))


@pytest.mark.usefixtures("slow")
def test_another_operator_may_stop_the_action(console: Client) -> None:
    page = chosen_page(console, *TaskFactory.create_batch(2))
    confirm(console, page)
    console_of(staff("operate_task", name="eve")).post(page, {"step": "stop"})
    work()
    assert statuses() == ["pending", "pending"]


BOX = 'name="includes_unknown"'


def test_requeue_of_an_unknown_outcome_needs_a_tick(console: Client) -> None:
    task = failed_with(FailureCode.OUTCOME_UNKNOWN)
    assert 'value="requeue"' in content(console.get(f"{TASKS}{task.pk}/change/"))
    page = chosen_page(console, task, verb="requeue")
    answer = content(console.get(page))
    assert "Failed with an unknown outcome, so its effect may happen twice" in answer
    assert "Requeue 1 task with an unknown outcome too" in answer
    answer = content(confirm(console, page))
    assert "Nothing changes unless you tick this box." in answer
    work()
    assert statuses() == ["failed"]
    confirm(console, page, includes_unknown="on")
    work()
    assert statuses() == ["pending"]
    assert "requeued too; their effect may happen twice" in content(console.get(page))


def test_requeue_of_many_leaves_out_unknown_outcomes(console: Client) -> None:
    unknown, known = map(failed_with, (FailureCode.OUTCOME_UNKNOWN, FailureCode.ARM_FAILED))
    page = chosen_page(console, unknown, known, verb="requeue")
    assert BOX in content(console.get(page))
    confirm(console, page)
    work()
    assert set(Event.objects.values_list("task", flat=True)) == {known.pk}
    assert "1 task skipped" in content(console.get(page))


@pytest.mark.parametrize("verb", ["requeue", "cancel"])
def test_other_actions_have_no_such_box(verb: str, console: Client) -> None:
    tasks = [failed_with(FailureCode.ARM_FAILED), TaskFactory()]
    page = chosen_page(console, *tasks, verb=verb)
    assert BOX not in content(console.get(page))
    confirm(console, page, includes_unknown="on")
    assert Action.objects.get().includes_unknown is False
