"""Idempotency keys: a repeated submission gets the first answer."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import requests
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from safety.gate import gate
from safety.models import Receipt
from safety.policy import PiiAction
from tasks.clients.scopes import Scope
from tasks.execution.counting import ADD, COLUMNS
from tasks.insertion import Insert, insert_claimed
from tasks.models import Client, IdempotencyKey, Task
from tests.conftest import StartService
from tests.factories import ClientFactory
from tests.reflex_layer import ScriptedReflexLayer, answer, pii, resets, says
from tests.service import ANSWER_SECONDS, Service
from tests.tasks.clients.keys import bearer, key_of, submit
from tests.tasks.execution.counters import counters
from tests.tasks.jobs import begins, jobs
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reflex_layer")]

AT_ONCE = 50
CONTEXT = {"b": 1, "a": [0.1, None, "ü"], "nested": {"x": 1e-7}}


@pytest.fixture
def owner() -> Client:
    client: Client = ClientFactory()
    return client


@pytest.fixture
def key(owner: Client) -> str:
    return key_of(owner)


def repeat(browser: Browser, key: str, body: Any = None, idempotency_key: str = "k1") -> Any:
    return submit(browser, key, body, **{"Idempotency-Key": idempotency_key})


def told(response: Any) -> tuple[int, Any, dict[str, str]]:
    """Return the answer as a client sees it, without the mark of a replay."""
    names = ("Location", "X-Redacted", "Content-Type")
    headers = {name: response[name] for name in names if name in response}
    return response.status_code, response.json(), headers


def test_the_same_submission_again_gets_the_first_answer(client: Browser, key: str) -> None:
    body = {"goal": "Plan", "context": CONTEXT, "priority": "high"}
    first, again = repeat(client, key, body), repeat(client, key, body)
    assert told(again) == told(first)
    assert (first.status_code, first["Location"]) == (200, f"/tasks/{first.json()['task_id']}")
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Task.objects.count() == Receipt.objects.count() == 1
    assert jobs() == [begins(Task.objects.get())]
    assert counters("tasks") == {("pending",): 1}


@pytest.mark.parametrize("max_pending", [None, 2])
def test_claim_receipt_task_count_and_job_are_stored_by_one_statement(
    max_pending: int | None, client: Browser
) -> None:
    key = key_of(ClientFactory(max_pending=max_pending))
    with CaptureQueriesContext(connection) as captured:
        assert repeat(client, key).status_code == 200
    inserting = [query["sql"] for query in captured if "INSERT INTO" in query["sql"]]
    [statement] = [sql for sql in inserting if '"tasks"' in sql]
    assert re.findall(r'INSERT INTO "?(\w+)', statement) == [
        "idempotency_keys",
        "receipts",
        "tasks",
        "counts",
        "procrastinate_jobs",
    ]
    assert not [sql for sql in inserting if sql != statement and "receipts" in sql]


def test_a_claim_that_is_lost_stores_nothing_else(client: Browser, key: str) -> None:
    """The statement of the second request finds the claim of the first one."""
    repeat(client, key)
    claim = IdempotencyKey.objects.get()
    rows = [
        Insert("tasks (goal)", ["x"]),
        Insert(COLUMNS, ["tasks", ["pending"], 0, 1], ADD),
        Insert("procrastinate_jobs (queue_name, task_name)", ["tasks", "begin"]),
    ]
    assert insert_claimed(claim, *rows) is False
    assert Task.objects.count() == len(jobs()) == 1
    assert counters("tasks") == {("pending",): 1}
    IdempotencyKey.objects.update(expires_at=timezone.now())
    assert insert_claimed(claim, *rows) is True
    assert Task.objects.count() == len(jobs()) == 2
    assert counters("tasks") == {("pending",): 2}


def test_the_first_answer_stays_when_the_task_has_changed(client: Browser, key: str) -> None:
    first = repeat(client, key)
    task = Task.objects.get()
    task.change_priority("low")
    task.cancel()
    Task.objects.update(task_metadata={"gained": "later"})
    assert told(repeat(client, key)) == told(first)


def test_a_replay_asks_the_reflex_layer_nothing(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    repeat(client, key)
    reflex_layer.behaviour = resets
    asked = len(reflex_layer.requests)
    assert repeat(client, key).status_code == 200
    assert len(reflex_layer.requests) == asked


def test_a_refusal_by_the_gate_is_replayed(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(pii())
    first = repeat(client, key)
    reflex_layer.behaviour = says(answer())
    again = repeat(client, key)
    assert told(again) == told(first)
    assert told(first)[:2] == (403, {"detail": "Safety check failed: PII detected in input"})
    assert again["Idempotency-Replayed"] == "true"
    assert Receipt.objects.count() == 1
    assert not Task.objects.exists()
    assert (jobs(), counters("tasks")) == ([], {})


def test_a_refusal_without_a_finding_is_replayed(
    client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(answer(status="blocked"))
    first, again = repeat(client, key), repeat(client, key)
    assert told(again) == told(first)
    assert again.json() == {"detail": "Safety check failed: blocked by the Reflex Layer"}


def test_another_body_under_the_key_is_refused(client: Browser, key: str) -> None:
    repeat(client, key, {"goal": "Plan"})
    response = repeat(client, key, {"goal": "Plan "})
    assert (response.status_code, response.json()) == (
        422,
        {"detail": "This Idempotency-Key came before with another body."},
    )
    assert Task.objects.count() == len(jobs()) == 1


def test_the_raw_bodies_are_compared(client: Browser, key: str) -> None:
    repeat(client, key, b'{"goal": "Plan"}')
    assert repeat(client, key, b'{"goal":  "Plan"}').status_code == 422


def test_clients_do_not_share_keys(client: Browser, key: str) -> None:
    first = repeat(client, key).json()["task_id"]
    assert repeat(client, key_of()).json()["task_id"] != first


def test_all_api_keys_of_a_client_share_its_keys(client: Browser, owner: Client) -> None:
    first, again = repeat(client, key_of(owner)), repeat(client, key_of(owner))
    assert told(first) == told(again)


@pytest.mark.parametrize("status", ["400", "503"])
def test_only_verdicts_are_kept(
    status: str, client: Browser, key: str, reflex_layer: ScriptedReflexLayer
) -> None:
    if status == "503":
        reflex_layer.behaviour = says({}, status="500 No")
    failed = repeat(client, key, {"goal": "" if status == "400" else "Plan"})
    assert failed.status_code == int(status)
    assert not IdempotencyKey.objects.exists()
    reflex_layer.behaviour = says(answer())
    accepted = repeat(client, key, {"goal": "Plan"})
    assert (accepted.status_code, accepted.has_header("Idempotency-Replayed")) == (200, False)


def test_an_expired_key_is_taken_over(client: Browser, key: str) -> None:
    first = repeat(client, key).json()["task_id"]
    IdempotencyKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    second = repeat(client, key, {"goal": "Another"}).json()
    assert second["task_id"] != first
    assert repeat(client, key, {"goal": "Another"}).json() == second
    assert IdempotencyKey.objects.count() == 1
    assert {job["queueing_lock"] for job in jobs()} == {first, second["task_id"]}


def test_a_key_is_kept_for_24_hours(client: Browser, key: str) -> None:
    repeat(client, key)
    left = IdempotencyKey.objects.get().expires_at - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


def test_a_redacted_submission_is_replayed_with_its_header(
    client: Browser, key: str, settings: Any, reflex_layer: ScriptedReflexLayer
) -> None:
    settings.PII_ACTION = PiiAction.REDACT
    gate.cache_clear()

    def find(connection: Any) -> bool:
        text = reflex_layer.texts[-1]
        at = text.find("jane@example.org")
        matches = [
            {"pii_type": "Email", "start": at, "end": at + 16, "matched_text": text[at : at + 16]}
        ]
        found = answer(pii_detected=True, pii_matches=matches) if at >= 0 else answer()
        return says(found)(connection)

    reflex_layer.behaviour = find
    body = {"goal": "Write to jane@example.org"}
    first, again = repeat(client, key, body), repeat(client, key, body)
    assert told(again) == told(first)
    assert (again["X-Redacted"], again.json()["goal"]) == ("Email", "Write to [EMAIL]")


# What is stored


def test_neither_key_nor_body_is_stored(client: Browser, key: str) -> None:
    repeat(client, key, {"goal": "Plan"}, "my-idempotency-key")
    row = IdempotencyKey.objects.values().get()
    assert len(bytes(row["key_hmac"])) == len(bytes(row["body_hmac"])) == 32
    assert b"my-idempotency-key" not in bytes(row["key_hmac"])
    assert "Plan" not in str(row)


# Bad keys


@pytest.mark.parametrize(
    "idempotency_key", ["", "x" * 256, "ü", "tab\tinside", "\x7f"], ids=lambda text: repr(text[:12])
)
def test_a_malformed_key_is_refused(idempotency_key: str, client: Browser, key: str) -> None:
    response = repeat(client, key, None, idempotency_key)
    assert (response.status_code, response.json()) == (
        400,
        {"detail": "Idempotency-Key must be 1 to 255 printable ASCII characters."},
    )
    assert not Task.objects.exists()


@pytest.mark.parametrize("idempotency_key", ["x", "x" * 255, "a b~!\"'"])
def test_any_printable_key_is_accepted(idempotency_key: str, client: Browser, key: str) -> None:
    assert repeat(client, key, None, idempotency_key).status_code == 200


def test_anonymous_callers_have_no_name_to_keep_a_key_under(client: Browser) -> None:
    response = repeat(client, "")
    assert (response.status_code, response.json()) == (
        400,
        {"detail": "Idempotency-Key needs an API key or token: it is kept for each client."},
    )
    assert not Task.objects.exists()


# Places among the pending tasks


def test_a_replay_needs_no_place(client: Browser) -> None:
    key = key_of(ClientFactory(max_pending=1))
    first = repeat(client, key)
    assert submit(client, key).status_code == 429
    assert told(repeat(client, key)) == told(first)


# Over processes


def at_once(service: Service, headers: dict[str, str], count: int) -> list[requests.Response]:
    def send(_: int) -> requests.Response:
        return requests.post(
            f"{service.url}/submit",
            json={"goal": "Plan", "context": CONTEXT},
            headers=headers,
            timeout=ANSWER_SECONDS,
        )

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(send, range(count)))


def tasks_of(database: "psycopg.Connection[Any]", key: str) -> int:
    """Return how many tasks with a job the client of a key has."""
    [(tasks, jobs)] = database.execute(
        "SELECT count(*), count(queueing_lock) FROM tasks JOIN api_keys USING (client_id)"
        " LEFT JOIN procrastinate_jobs ON queueing_lock = tasks.id::text WHERE prefix = %s",
        [key[8:16]],
    ).fetchall()
    assert tasks == jobs
    return int(tasks)


@pytest.mark.parametrize("max_pending", [None, 1])
def test_of_many_at_the_same_time_one_task_is_made(
    max_pending: int | None,
    start_service: StartService,
    new_key: str,
    service_database: "psycopg.Connection[Any]",
    reflex_layer: ScriptedReflexLayer,
) -> None:
    service_database.execute(
        "UPDATE clients SET max_pending = %s FROM api_keys"
        " WHERE clients.id = client_id AND prefix = %s",
        [max_pending, new_key[8:16]],
    )
    service = start_service(
        WORKERS=4, THREADS=16, REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=20
    )
    answers = at_once(service, {**bearer(new_key), "Idempotency-Key": "k1"}, AT_ONCE)
    # A process that is overloaded may ask a client to come again.
    decided = [answer for answer in answers if answer.status_code != 503]
    assert {answer.status_code for answer in decided} == {200}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in decided}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in decided]
    assert (replayed.count(None), replayed.count("true")) == (1, len(decided) - 1)
    assert tasks_of(service_database, new_key) == 1


# Shorter than the interval at which PostgreSQL looks whether a client is still there.
HOLD = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END
$$;
CREATE TRIGGER hold AFTER INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION hold();
"""
LET_GO = "DROP TRIGGER hold ON idempotency_keys; DROP FUNCTION hold();"
HELD = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


def test_a_process_killed_before_it_answers_leaves_a_key_that_answers(
    start_service: StartService,
    new_key: str,
    service_database: "psycopg.Connection[Any]",
    reflex_layer: ScriptedReflexLayer,
) -> None:
    service = start_service(WORKERS=1, REFLEX_URL=reflex_layer.url)
    headers = {**bearer(new_key), "Idempotency-Key": "k1"}
    service.get("/ready")
    service_database.execute(HOLD)
    with ThreadPoolExecutor(1) as executor:
        lost = executor.submit(at_once, service, headers, 1)
        wait_until(lambda: service_database.execute(HELD).fetchone() is not None)
        service.workers[0].kill()
        wait_until(lambda: tasks_of(service_database, new_key) == 1)
        with pytest.raises(requests.ConnectionError):
            lost.result()
    service_database.execute(LET_GO)
    [again] = at_once(service, headers, 1)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert tasks_of(service_database, new_key) == 1


@pytest.mark.parametrize("scope", [Scope.READ, Scope.CANCEL])
def test_a_key_that_may_not_submit_learns_nothing(
    scope: Scope, client: Browser, owner: Client
) -> None:
    repeat(client, key_of(owner))
    assert repeat(client, key_of(owner, scope)).status_code == 403
