"""Tokens of an issuer, against the running service."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import StartService
from tests.issuer import AUDIENCE, Issuer
from tests.service import Service
from tests.tasks.clients.keys import bearer
from tests.waiting import wait_until

WORKERS = 2
UNCHECKED = {
    "detail": "The token cannot be checked now, because the keys of its issuer are not available. "
    "Try again later."
}
FETCHES = 'octollm_orchestrator_issuer_fetches_total{{result="{}"}}'


@pytest.fixture
def trusting(start_service: StartService, issuer: Issuer) -> Service:
    return start_service(
        JWT_ISSUER=issuer.url,
        JWT_AUDIENCE=AUDIENCE,
        ENABLE_REFLEX_INTEGRATION=False,
        WORKERS=WORKERS,
    )


def client_of(service: Service, token: str) -> Any:
    return service.get("/client", headers=bearer(token))


def test_a_client_with_a_token_submits_reads_and_cancels(trusting: Service, issuer: Issuer) -> None:
    headers = bearer(issuer.token("reporting", "task:submit task:read task:cancel openid"))
    submitted = trusting.request("POST", "/submit", json={"goal": "Plan"}, headers=headers)
    task = f"/tasks/{submitted.json()['task_id']}"
    assert trusting.get(task, headers=headers).json()["goal"] == "Plan"
    assert trusting.get(task).status_code == 404
    assert trusting.get(task, headers=bearer(issuer.token("other"))).status_code == 404
    listed = trusting.get("/tasks", headers=headers).json()["results"]
    assert [f"/tasks/{each['task_id']}" for each in listed] == [task]
    cancelled = trusting.request("POST", f"{task}/cancel", headers=headers)
    assert cancelled.json()["status"] == "cancelled"


def test_a_client_is_told_what_its_token_may_do(trusting: Service, issuer: Issuer) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    answer = client_of(trusting, issuer.token("reporting", "task:read gate:dry_run openid")).json()
    expires_at = datetime.fromisoformat(answer.pop("expires_at"))
    assert abs(expires_at - in_an_hour) < timedelta(minutes=1)
    assert answer == {
        "name": "token:reporting",
        "scopes": ["task:read", "gate:dry_run"],
        "rate_limit": None,
        "rate_limit_remaining": None,
        "max_pending_tasks": None,
    }


def test_a_token_may_have_an_idempotency_key(trusting: Service, issuer: Issuer) -> None:
    def submit(client: str) -> Any:
        headers = bearer(issuer.token(client, "task:submit")) | {"Idempotency-Key": "7"}
        return trusting.request("POST", "/submit", json={"goal": "Plan"}, headers=headers)

    first, again, other = submit("reporting"), submit("reporting"), submit("other")
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.json()["task_id"] != first.json()["task_id"]


def test_a_token_and_a_key_at_once_are_too_many(
    trusting: Service, issuer: Issuer, service_key: str
) -> None:
    token = issuer.token()
    headers = bearer(token)
    assert trusting.get("/client", headers=headers | {"X-API-Key": service_key}).status_code == 400
    assert trusting.get("/client", headers=headers | {"X-API-Key": token}).status_code == 200
    assert trusting.get("/client", headers={"X-API-Key": token}).status_code == 200


@pytest.mark.parametrize("path", ["/tasks?access_token={}", "/tasks?{}=1", "/tasks?status={}"])
def test_a_token_in_a_url_is_refused_and_not_quoted(
    trusting: Service, issuer: Issuer, path: str
) -> None:
    token = issuer.token()
    answer = trusting.get(path.format(token), headers=bearer(token))
    assert answer.status_code == 400
    assert "does not belong in a URL" in answer.text
    assert token[:30] not in answer.text


@pytest.mark.parametrize("characters", [8_100, 9_000, 100_000, 1_000_000])
def test_a_long_token_is_refused_and_the_service_goes_on(
    trusting: Service, issuer: Issuer, characters: int
) -> None:
    head = f"GET /client HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {'x.' * characters}"
    status = trusting.raw(f"{head[:characters]}\r\n\r\n".encode())[:15]
    assert status[9:12] in (b"400", b"401", b"431")
    assert client_of(trusting, issuer.token()).status_code == 200


# What operators see


def test_each_worker_fetches_the_keys_when_it_starts(trusting: Service, issuer: Issuer) -> None:
    trusting.get("/health")
    wait_until(lambda: trusting.metrics()[FETCHES.format("worked")] == WORKERS)
    assert client_of(trusting, issuer.sign()).status_code == 200
    assert issuer.fetches == WORKERS


def test_an_issuer_that_cannot_be_used_is_in_the_log_from_the_start(
    start_service: StartService, issuer: Issuer
) -> None:
    service = start_service(JWT_ISSUER=f"{issuer.url}/", JWT_AUDIENCE=AUDIENCE, WORKERS=1)
    service.get("/health")
    message = "The keys of the issuer cannot be fetched"
    wait_until(lambda: message in service.log.read_text())
    [line] = [line for line in service.log_lines() if line["message"] == message]
    assert (line["level"], line["reason"]) == (
        "WARNING",
        "discovery document: it names another issuer",
    )


def test_the_log_says_why_a_token_is_refused_and_nothing_of_the_token(
    trusting: Service, issuer: Issuer
) -> None:
    token = issuer.sign(aud="https://s3cret.example", sub="s3cret")
    answer = client_of(trusting, token)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    [line] = [line for line in trusting.log_lines() if line["message"] == "Authentication failed"]
    assert (line["level"], line["reason"]) == ("INFO", "audience")
    logged = trusting.log.read_text()
    assert not any(part in logged for part in ("s3cret", *token.split(".")))


# An issuer that is down, and one that rotates


def test_without_the_issuer_known_keys_work_and_unknown_ones_are_no_refusal(
    start_service: StartService, issuer: Issuer, service_key: str
) -> None:
    issuer.go_down()
    service = start_service(
        JWT_ISSUER=issuer.url,
        JWT_AUDIENCE=AUDIENCE,
        ENABLE_REFLEX_INTEGRATION=False,
        WORKERS=1,
    )
    answer = client_of(service, issuer.sign())
    assert (answer.status_code, answer.json()) == (503, UNCHECKED)
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert client_of(service, service_key).status_code == 200
    assert service.get("/ready").status_code == 200
    issuer.come_up()
    wait_until(lambda: client_of(service, issuer.sign()).status_code == 200, seconds=15)
    issuer.go_down()
    assert client_of(service, issuer.sign()).status_code == 200


def test_a_new_key_works_after_ten_seconds_at_most(trusting: Service, issuer: Issuer) -> None:
    assert client_of(trusting, issuer.sign()).status_code == 200
    issuer.rotate()
    started = time.monotonic()
    wait_until(lambda: client_of(trusting, issuer.sign()).status_code == 200, seconds=15)
    assert time.monotonic() - started <= 11


def test_many_unknown_keys_cause_few_fetches(trusting: Service, issuer: Issuer) -> None:
    assert client_of(trusting, issuer.sign()).status_code == 200
    started = time.monotonic()
    tokens = [issuer.sign(headers={"kid": f"unknown-{number}"}) for number in range(500)]
    with ThreadPoolExecutor(8) as executor:
        answers = [*executor.map(lambda token: client_of(trusting, token).status_code, tokens)]
    assert {*answers} == {401}
    fetches = WORKERS * (2 + int((time.monotonic() - started) // 10))
    assert issuer.fetches <= fetches
