"""`GET /tasks/{task_id}`."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tasks.models import Task
from tests.factories import TaskFactory, TaskResultFactory

pytestmark = pytest.mark.django_db

NOT_FOUND = {"detail": "Task not found"}


def test_task_is_answered_as_specified(client: Client) -> None:
    moment = datetime(2025, 11, 15, 12, 0, 0, tzinfo=UTC)
    task = TaskFactory(
        goal="Analyze sentiment of user reviews",
        priority="high",
        context={"secret": "of the context"},
        task_metadata={"user_id": "user123", "source": "web_app"},
        created_at=moment,
        updated_at=moment + timedelta(minutes=5, seconds=30),
    )
    response = client.get(f"/tasks/{task.pk}")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    # The answer has this order of fields; jsonb sorts the keys of metadata.
    assert json.loads(response.content, object_pairs_hook=list) == [
        ("task_id", str(task.pk)),
        ("goal", "Analyze sentiment of user reviews"),
        ("status", "pending"),
        ("priority", "high"),
        ("created_at", "2025-11-15T12:00:00Z"),
        ("updated_at", "2025-11-15T12:05:30Z"),
        ("metadata", [("source", "web_app"), ("user_id", "user123")]),
        ("failure", None),
        ("usage", [("tokens", 0), ("cost_usd", 0.0), ("seconds", 0.0), ("estimated", False)]),
        (
            "progress",
            [
                ("since", "2025-11-15T12:00:00Z"),
                ("steps", None),
                ("done", 0),
                ("step", None),
                ("waits_for", None),
                ("detail", "No worker is running."),
            ],
        ),
        ("criteria", []),
        ("result", None),
    ]


def test_result_is_the_newest_one(client: Client) -> None:
    moment = datetime(2025, 11, 15, 12, 0, 0, 120_000, tzinfo=UTC)
    task = TaskFactory(completed=True)
    for minutes, data in ((1, "older"), (2, {"sentiment": [0.8, None, "ü"]}), (0, "oldest")):
        TaskResultFactory(
            task=task,
            result_data=data,
            confidence=0.95,
            created_at=moment + timedelta(minutes=minutes),
        )
    body = client.get(f"/tasks/{task.pk}").json()
    assert (body["status"], body["result"]) == (
        "completed",
        {
            "result_data": {"sentiment": [0.8, None, "ü"]},
            "confidence": 0.95,
            "created_at": "2025-11-15T12:02:00.120000Z",
        },
    )


@pytest.mark.parametrize("data", [0, False, "", [], {}, "text", 1.5, {"a": {"b": [None]}}])
def test_result_data_may_be_any_json_value_except_null(data: Any, client: Client) -> None:
    result = TaskResultFactory(result_data=data)
    body = client.get(f"/tasks/{result.task.pk}").json()
    assert body["result"]["result_data"] == data
    assert type(body["result"]["result_data"]) is type(data)


@pytest.mark.parametrize("confidence", ["0", "1", "0.3333"])
def test_confidence_is_a_json_number(confidence: str, client: Client) -> None:
    result = TaskResultFactory(confidence=confidence)
    content = client.get(f"/tasks/{result.task.pk}").content
    [number] = re.findall(rb'"confidence":([^,]+),', content)
    assert float(number) == float(confidence)


def test_result_of_another_task_is_not_shown(client: Client) -> None:
    TaskResultFactory()
    assert client.get(f"/tasks/{TaskFactory().pk}").json()["result"] is None


def test_read_after_submission_returns_the_same_task(client: Client, reflex_layer: Any) -> None:
    body = {"goal": " x ", "context": {"b": 1, "a": [1.5, True, None, "é"]}}
    answered = client.post("/submit", body, content_type="application/json").json()
    read = client.get(f"/tasks/{answered['task_id']}").json()
    assert read == answered | {
        "updated_at": answered["created_at"],
        "failure": None,
        "usage": {"tokens": 0, "cost_usd": 0.0, "seconds": 0.0, "estimated": False},
        "progress": {
            "since": answered["created_at"],
            "steps": None,
            "done": 0,
            "step": None,
            "waits_for": None,
            "detail": "No worker is running.",
        },
        "criteria": [],
        "result": None,
    }


@pytest.mark.parametrize("status", ["pending", "processing", "completed", "failed", "cancelled"])
def test_status_is_the_stored_one(status: str, client: Client) -> None:
    task = TaskFactory(status=status)
    assert client.get(f"/tasks/{task.pk}").json()["status"] == status


def test_read_takes_one_query(client: Client, django_assert_num_queries: Any) -> None:
    result = TaskResultFactory()
    with django_assert_num_queries(1):
        client.get(f"/tasks/{result.task.pk}")


def test_id_that_is_not_a_uuid_takes_no_query(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        client.get("/tasks/42")


@pytest.mark.parametrize(
    "task_id",
    [
        str(uuid.UUID(int=0)),
        "42",
        "x",
        "None",
        "%00",
        "550e8400-e29b-41d4-a716-44665544000",
        "550e8400-e29b-41d4-a716-4466554400000",
        "550e8400-e29b-41d4-a716-44665544000g",
        "550e8400-e29b-41d4-a716-446655440000%00",
        "%20",
        "%FF%FE",
        "%F0%9F%90%99",
        "' OR 1=1--",
        "a" * 2000,
        "{}",
        "..%00",
    ],
    ids=lambda task_id: task_id[:40],
)
def test_unknown_task_is_not_found(task_id: str, client: Client) -> None:
    TaskFactory()
    response = client.get(f"/tasks/{task_id}")
    assert (response.status_code, response.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("spelling", [str, lambda pk: str(pk).upper(), lambda pk: pk.hex])
def test_uuid_is_accepted_in_other_notations(spelling: Any, client: Client) -> None:
    task = TaskFactory()
    assert client.get(f"/tasks/{spelling(task.pk)}").json()["task_id"] == str(task.pk)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_task_cannot_be_changed_over_http(method: str, client: Client) -> None:
    task = TaskFactory()
    before = Task.objects.values().get()
    response = getattr(client, method)(f"/tasks/{task.pk}", b"{}", content_type="application/json")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert Task.objects.values().get() == before


def test_browsable_page_escapes_the_goal(client: Client) -> None:
    task = TaskFactory(goal="<script>alert(1)</script>", task_metadata={"<b>": "</pre><b>"})
    content = client.get(f"/tasks/{task.pk}", headers={"Accept": "text/html"}).content
    assert b"&lt;script&gt;alert(1)" in content
    assert b"<script>alert(1)" not in content
    assert b"</pre><b>" not in content


def test_found_and_missing_tasks_are_not_cached(client: Client) -> None:
    for task_id, status in ((TaskFactory().pk, 200), (uuid.uuid4(), 404)):
        response = client.get(f"/tasks/{task_id}")
        assert (response.status_code, response["Cache-Control"]) == (status, "no-store")
