"""`GET /tasks/{task_id}/events`."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from tasks.changes import EventKind
from tasks.models import Client, Event, Task
from tasks.states import Priority, Status
from tests.factories import TaskFactory
from tests.tasks.api.lists import START, follow, get
from tests.tasks.clients.keys import bearer
from tests.tasks.lives import enter

pytestmark = pytest.mark.django_db


def events_of(browser: Browser, key: str, task: Task, query: str = "") -> Any:
    return get(browser, key, f"/tasks/{task.pk}/events{query}")


def in_short(page: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(event[name] for name in ("kind", "from", "to", "actor")) for event in page["results"]
    ]


def test_events_begin_with_the_submission(client: Browser, owner: Client, key: str) -> None:
    task = TaskFactory(client=owner, created_at=START)
    task.change_priority(Priority.HIGH, actor="jane", reason="urgent")
    enter(task, Status.PROCESSING)
    Task.objects.cancel([task.pk], actor="jane")
    page = events_of(client, key, task)
    assert in_short(page) == [
        ("submitted", None, "pending", "client"),
        ("priority", "medium", "high", "staff"),
        ("status", "pending", "processing", "service"),
        ("status", "processing", "cancelled", "staff"),
    ]
    assert page["results"][0] == {
        "kind": "submitted",
        "created_at": "2026-11-01T12:00:00.000250Z",
        "from": None,
        "to": "pending",
        "actor": "client",
    }
    # Neither names of staff nor their reasons.
    assert "jane" not in str(page)
    assert "urgent" not in str(page)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_events_lead_to_the_end_and_back(
    limit: int, client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner)
    for priority in (Priority.LOW, Priority.HIGH, Priority.CRITICAL):
        task.change_priority(priority)
    whole = in_short(events_of(client, key, task))
    assert [to for _, _, to, _ in whole] == ["pending", "low", "high", "critical"]
    there = list(follow(client, key, f"/tasks/{task.pk}/events?limit={limit}"))
    assert [event for page in there for event in in_short(page)] == whole
    back = list(follow(client, key, there[-1]["previous"], "previous"))
    before_last = whole[: len(whole) - len(there[-1]["results"])]
    assert [event for page in back[::-1] for event in in_short(page)] == before_last


def test_events_that_come_in_meanwhile_are_on_the_next_page(
    client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner)
    enter(task, Status.PROCESSING)
    first = events_of(client, key, task, "?limit=1")
    enter(task, Status.FAILED, reason="secret words")
    rest = get(client, key, first["next"].replace("limit=1", "limit=9"))
    assert [event[2] for event in in_short(rest)] == ["processing", "failed"]
    # A reason that the service gives may quote the task.
    assert "secret" not in str(rest)


@pytest.mark.parametrize(
    "kind", [kind for kind in EventKind if kind not in (EventKind.STATUS, EventKind.PRIORITY)]
)
def test_an_event_that_changes_neither_status_nor_priority_has_no_from_and_no_to(
    kind: EventKind, client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner, created_at=START)
    Event.objects.create(
        task=task,
        kind=kind,
        actor_kind="service",
        data={"run": 1, "step": 1, "arm": "arm-of-ours", "waits_for": "room"},
        reason="secret words",
        created_at=START + timedelta(seconds=1),
    )
    page = events_of(client, key, task)
    assert page["results"][1:] == [
        {
            "kind": kind.value,
            "created_at": "2026-11-01T12:00:01.000250Z",
            "from": None,
            "to": None,
            "actor": "service",
        }
    ]


@pytest.mark.parametrize("task_id", [uuid.uuid4(), "x", "%00"], ids=["unknown", "no id", "NUL"])
def test_events_of_an_unknown_task_are_not_found(
    task_id: object, client: Browser, key: str
) -> None:
    response = client.get(f"/tasks/{task_id}/events", headers=bearer(key))
    assert (response.status_code, response.json()) == (404, {"detail": "Task not found"})
