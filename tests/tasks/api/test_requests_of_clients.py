"""Cancelling, dry runs, `GET /client`, and the order in which a request is checked."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from safety.models import Receipt
from tasks.clients.authentication import authenticator
from tasks.clients.scopes import Scope
from tasks.models import Client, Event, Task
from tasks.states import Status
from tests.factories import ClientFactory, TaskFactory, TaskResultFactory
from tests.reflex_layer import ScriptedReflexLayer, answer, found, injection, pii, says
from tests.tasks.clients.keys import bearer, key_of, submit
from tests.tasks.lives import enter

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reflex_layer")]


@pytest.fixture
def owner() -> Client:
    client: Client = ClientFactory(name="web")
    return client


@pytest.fixture
def key(owner: Client) -> str:
    return key_of(owner)


# Cancel


def cancel(browser: Browser, key: str, task: Task, body: Any = "") -> Any:
    return browser.post(
        f"/tasks/{task.pk}/cancel", body, content_type="application/json", headers=bearer(key)
    )


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_a_client_cancels_its_task(status: str, client: Browser, owner: Client, key: str) -> None:
    task = TaskFactory(client=owner, status=status)
    response = cancel(client, key, task)
    read = client.get(f"/tasks/{task.pk}", headers=bearer(key))
    assert (response.status_code, response.json()) == (200, read.json())
    assert response.json()["status"] == "cancelled"
    event = Event.objects.get()
    assert (event.acted, event.actor, event.data) == (
        "client",
        "",
        {"from": status, "to": "cancelled"},
    )


def test_a_cancelled_task_is_answered_in_the_same_way_again(
    client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner)
    first, again = cancel(client, key, task), cancel(client, key, task)
    assert (again.status_code, again.json()) == (200, first.json())
    assert Event.objects.count() == 1


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_task_that_has_ended_is_not_cancelled(
    status: str, client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner, status=status)
    response = cancel(client, key, task)
    assert (response.status_code, response.json()) == (
        409,
        {"detail": f"The task is {status}: it cannot become cancelled."},
    )
    assert not Event.objects.exists()


def test_a_cancelled_task_is_answered_with_its_result(
    client: Browser, owner: Client, key: str
) -> None:
    task = TaskFactory(client=owner)
    TaskResultFactory(task=task)
    assert cancel(client, key, task).json()["result"]["confidence"] == 0.95


@pytest.mark.parametrize(
    ("body", "status"), [("", 200), ("{}", 200), ('{"reason": "x"}', 400), ("[]", 400), ("{", 400)]
)
def test_a_body_of_a_cancel_would_have_no_effect(
    body: str, status: int, client: Browser, owner: Client, key: str
) -> None:
    assert cancel(client, key, TaskFactory(client=owner), body).status_code == status


# Dry run


def try_out(browser: Browser, key: str, body: Any = None, query: str = "dry_run=true") -> Any:
    return browser.post(
        f"/submit?{query}",
        {"goal": "Write to jane@example.org"} if body is None else body,
        content_type="application/json",
        headers=bearer(key),
    )


def test_a_dry_run_answers_what_a_submission_would_meet(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    match = found("Write to jane@example.org", "jane@example.org")
    reflex_layer.behaviour = says(answer(pii_detected=True, pii_matches=[match]))
    response = try_out(client, key)
    body = response.json()
    assert (response.status_code, len(body.pop("policy_version"))) == (200, 12)
    assert body == {
        "verdict": "blocked",
        "redacted_types": [],
        "findings": [
            {
                "kind": "pii",
                "type": "Email",
                "severity": None,
                "confidence": 0.9,
                "field": "goal",
                "start": 9,
                "end": 25,
            }
        ],
    }


def test_a_dry_run_stores_nothing(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    for behaviour in (says(answer()), says(pii()), says(injection()), says({}, status="500 No")):
        reflex_layer.behaviour = behaviour
        try_out(client, key)
    assert not Task.objects.exists()
    assert not Receipt.objects.exists()


def test_a_finding_without_a_place_is_listed(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(pii(start=None, end=None))
    [finding] = try_out(client, key).json()["findings"]
    assert (finding["field"], finding["start"], finding["end"]) == (None, None, None)


def test_a_dry_run_without_a_verdict_is_a_503(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says({}, status="500 No")
    response = try_out(client, key)
    assert (response.status_code, response.has_header("Retry-After")) == (503, True)


@pytest.mark.parametrize("body", [{"goal": ""}, {"goal": "x", "priorty": "high"}, {}, []])
def test_a_dry_run_has_the_errors_of_a_submission(client: Browser, key: str, body: Any) -> None:
    real, tried = submit(client, key, body), try_out(client, key, body)
    assert (tried.status_code, tried.json()) == (real.status_code, real.json())
    assert tried.status_code == 400


def test_a_dry_run_of_false_is_a_submission(client: Browser, key: str) -> None:
    assert try_out(client, key, query="dry_run=false").json()["status"] == "pending"


@pytest.mark.parametrize(
    "query", ["dry_run=", "dry_run=1", "dry_run=True", "dry_run=yes", "dry_run=false&dry_run=true"]
)
def test_an_unclear_dry_run_submits_nothing(query: str, client: Browser, key: str) -> None:
    response = try_out(client, key, query=query)
    assert (response.status_code, list(response.json())) == (400, ["dry_run"])
    assert not Task.objects.exists()


# What a key may do


def test_a_key_is_described(client: Browser, owner: Client) -> None:
    expires_at = timezone.now() + timedelta(days=1)
    key = owner.make_key([Scope.READ, Scope.SUBMIT], expires_at=expires_at)
    assert client.get("/client", headers=bearer(key)).json() == {
        "name": "web",
        "scopes": ["task:submit", "task:read"],
        "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
        "rate_limit": None,
        "rate_limit_remaining": None,
        "max_pending_tasks": None,
    }


def test_limits_are_described_with_what_is_left(client: Browser) -> None:
    key = key_of(ClientFactory(rate_limit=10, max_pending=3))
    submit(client, key)
    told = client.get("/client", headers=bearer(key)).json()
    assert (told["rate_limit"], told["rate_limit_remaining"]) == (10, 8)
    assert (told["expires_at"], told["max_pending_tasks"]) == (None, 3)


# The largest number of pending tasks


def test_beyond_its_pending_tasks_a_client_has_to_wait(
    client: Browser, reflex_layer: ScriptedReflexLayer
) -> None:
    key = key_of(ClientFactory(max_pending=2))
    assert [submit(client, key).status_code for _ in range(2)] == [200, 200]
    asked = len(reflex_layer.requests)
    response = submit(client, key)
    assert (response.status_code, response.json(), response["Retry-After"]) == (
        429,
        {"detail": "The client has as many pending tasks as it may have: 2."},
        "10",
    )
    assert len(reflex_layer.requests) == asked
    assert (Task.objects.count(), Receipt.objects.count()) == (2, 2)
    enter(Task.objects.earliest("created_at"), Status.PROCESSING)
    assert submit(client, key).status_code == 200


def test_a_client_without_a_place_submits_nothing(client: Browser) -> None:
    assert submit(client, key_of(ClientFactory(max_pending=0))).status_code == 429


# The order of the checks


@pytest.fixture
def limited(settings: Any) -> Any:
    settings.RATE_LIMIT = 1
    authenticator.cache_clear()
    yield
    authenticator.cache_clear()


LARGE = {"CONTENT_LENGTH": "99999999"}


def test_a_bad_key_comes_before_the_body(client: Browser) -> None:
    for extra in (LARGE, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        response = client.generic(
            "POST", "/submit?x=y", b"{", "text/plain", headers=bearer("bad"), **extra
        )
        assert response.status_code == 401


@pytest.mark.usefixtures("limited")
def test_the_limit_comes_before_scope_and_body(client: Browser, owner: Client) -> None:
    key = key_of(owner, Scope.READ)
    statuses = [
        client.generic("POST", "/submit", b"{", "text/plain", headers=bearer(key)).status_code
        for _ in range(2)
    ]
    assert statuses == [403, 429]


@pytest.mark.usefixtures("limited")
def test_a_bad_key_beyond_the_limit_of_its_address_has_to_wait(client: Browser) -> None:
    responses = [client.get("/tasks", headers=bearer("bad")) for _ in range(2)]
    assert [response.status_code for response in responses] == [401, 429]
    assert 55 <= int(responses[1]["Retry-After"]) <= 60
    assert responses[1].json() == {
        "detail": f"Too many requests. Try again in {responses[1]['Retry-After']} s."
    }


@pytest.mark.parametrize(
    ("extra", "content_type", "status"),
    [(LARGE, "application/json", 413), ({}, "text/plain", 415), ({}, "application/json", 400)],
)
def test_the_scope_comes_before_the_body(
    extra: dict[str, str], content_type: str, status: int, client: Browser, owner: Client
) -> None:
    def post(*scopes: Scope) -> int:
        headers = bearer(key_of(owner, *scopes))
        answer = client.generic("POST", "/submit", b"{", content_type, headers=headers, **extra)
        return int(answer.status_code)

    assert (post(Scope.READ), post(Scope.SUBMIT)) == (403, status)
