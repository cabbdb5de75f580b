"""The console's list of workers."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator_site.console.execution import worker_admin
from tasks.models import Run, Worker
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import attempt_at, step_of
from tests.orchestrator_site.console.tasks.console_actions import (
    console_of,
    content,
    start_worker,
)
from tests.staff import staff

pytestmark = pytest.mark.django_db

WORKERS = "/admin/tasks/worker/"
NOW = timezone.now()


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_worker", "view_task"))


def columns(page: str, name: str) -> list[str]:
    cells = re.findall(rf'class="field-{name}[^"]*">(.*?)</t[dh]>', page)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in cells]


def working(worker: Worker, count: int = 1) -> list[str]:
    """Let a worker work on so many tasks; return the beginnings of their ids."""
    tasks = TaskFactory.create_batch(count, processing=True)
    for task in tasks:
        step = step_of(Run.objects.create(task=task, number=1), state="running")
        attempt_at(step, worker=worker)
    return [str(task.pk)[:8] for task in tasks]


def test_list_shows_machine_process_state_and_work(console: Client) -> None:
    worker = start_worker(machine="alpha", process=42, version="1.2.3", concurrency=4)
    [task_id] = working(worker)
    page = content(console.get(WORKERS))
    assert [columns(page, name) for name in ("machine", "process", "version", "state")] == [
        ["alpha"],
        ["42"],
        ["1.2.3"],
        ["✓ Alive"],
    ]
    assert columns(page, "doing") == [task_id]
    assert f"/admin/tasks/task/{task_id}" in page
    assert columns(page, "at_most") == ["4 at once"]
    assert columns(page, "seen") == ["< 1 min ago"]


@pytest.mark.parametrize(
    ("state", "fields", "label"),
    [
        ("alive", {}, "✓ Alive"),
        ("stopped", {"ended_at": NOW}, "⊘ Stopped"),
        ("lost", {"seen_at": NOW - timedelta(minutes=5)}, "✕ Lost"),
    ],
)
def test_filter_finds_workers_by_their_state(
    state: str, fields: dict[str, Any], label: str, console: Client
) -> None:
    start_worker()
    start_worker(ended_at=NOW, seen_at=NOW - timedelta(hours=1))
    start_worker(seen_at=NOW - timedelta(hours=1))
    wanted = start_worker(machine="wanted", **fields)
    page = content(console.get(WORKERS, {"state": state}))
    assert "wanted" in columns(page, "machine")
    assert set(columns(page, "state")) == {label}
    assert len(columns(page, "state")) == 2
    assert worker_admin.state_of(wanted) == state


def test_only_some_of_many_tasks_are_listed(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_admin, "MAX_ATTEMPTS", 2)
    first, second, _ = working(start_worker(), 3)
    assert columns(content(console.get(WORKERS)), "doing") == [f"{first} {second} and 1 more"]


def test_idle_worker_works_on_nothing(console: Client) -> None:
    start_worker()
    assert columns(content(console.get(WORKERS)), "doing") == ["nothing"]


@pytest.mark.parametrize("count", [1, 10])
def test_list_takes_the_same_queries_for_many_workers(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        working(start_worker(), 2)
    # Session, user, permissions (2), count, workers, attempts, pause.
    with django_assert_num_queries(8):
        content(console.get(WORKERS))


def test_invalid_filter_is_ignored(console: Client) -> None:
    assert console.get(WORKERS, {"state": "nonsense"})["Location"] == f"{WORKERS}?e=1"


def test_name_of_a_machine_is_escaped(console: Client) -> None:
    start_worker(machine="<script>alert(1)</script>")
    assert "<script>alert" not in content(console.get(WORKERS))
