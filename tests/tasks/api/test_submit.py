"""`POST /submit`: the answer, the stored task, and the call to the Reflex Layer."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from safety.models import Receipt
from tasks.models import Count, Task
from tests.factories import ClientFactory
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, answer, injection, pii, says
from tests.tasks.api.specified import DEFAULTS
from tests.tasks.clients import keys as of_client
from tests.tasks.clients.keys import key_of
from tests.tasks.execution.counters import counters
from tests.tasks.jobs import begins, jobs

pytestmark = pytest.mark.django_db

# The example in the specification.
EXAMPLE = {
    "goal": "Analyze sentiment of user reviews",
    "constraints": ["No PII in output", "Complete within 5 minutes"],
    "context": {"user_id": "user123", "source": "web_app"},
    "acceptance_criteria": ["Sentiment score between -1 and 1"],
    "priority": "high",
    "budget": {"max_cost_usd": 0.50, "max_time_seconds": 300, "max_tokens": 2000},
}
REFUSED = {"goal": "Call 555-0199 first", "context": {"secret-key": "hunter2"}}
PII_FIELDS = {"pii_detected": True, "pii_matches": pii()["pii_matches"]}
NO_VERDICT = "The safety of the task cannot be checked now. Nothing was stored; try again later."


@pytest.fixture(autouse=True)
def _reflex_layer(reflex_layer: ScriptedReflexLayer) -> None:
    """Every test here needs a Reflex Layer."""


def submit(client: Client, body: Any, **headers: str) -> Any:
    return client.post("/submit", body, content_type="application/json", headers=headers)


def stored(body: dict[str, Any], client: Client) -> dict[str, Any]:
    """Submit `body` and return the stored row."""
    assert submit(client, body).status_code == 200
    return Task.objects.values().get()


def test_example_is_answered_as_specified(client: Client) -> None:
    response = submit(client, EXAMPLE)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    pairs = json.loads(response.content, object_pairs_hook=list)
    assert [name for name, _ in pairs] == [
        "task_id",
        "goal",
        "status",
        "priority",
        "created_at",
        "metadata",
    ]
    body = response.json()
    task_id, created_at = body.pop("task_id"), body.pop("created_at")
    assert str(UUID(task_id)) == task_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", created_at)
    assert body == {
        "goal": "Analyze sentiment of user reviews",
        "status": "pending",
        "priority": "high",
        "metadata": {"user_id": "user123", "source": "web_app"},
    }


def test_location_is_where_the_task_can_be_read(client: Client) -> None:
    response = submit(client, EXAMPLE)
    task_id = response.json()["task_id"]
    assert response["Location"] == f"/tasks/{task_id}"
    assert client.get(response["Location"]).json()["task_id"] == task_id


def test_created_at_is_the_time_in_utc(client: Client) -> None:
    before = datetime.now(UTC)
    created_at = datetime.fromisoformat(submit(client, EXAMPLE).json()["created_at"])
    assert before <= created_at <= datetime.now(UTC)
    assert created_at == Task.objects.get().created_at


def test_example_is_stored_column_by_column(client: Client) -> None:
    row = stored(EXAMPLE, client)
    assert row.pop("created_at") == row.pop("updated_at")
    assert isinstance(row.pop("id"), UUID)
    assert row == {
        "goal": "Analyze sentiment of user reviews",
        "status": "pending",
        "priority": "high",
        "constraints": ["No PII in output", "Complete within 5 minutes"],
        "context": {"user_id": "user123", "source": "web_app"},
        "acceptance_criteria": ["Sentiment score between -1 and 1"],
        "task_metadata": {"user_id": "user123", "source": "web_app"},
        "assigned_arm": None,
        "max_cost_usd": Decimal("0.50"),
        "max_time_seconds": 300,
        "max_tokens": 2000,
        "verdict": "safe",
        "has_result": False,
        "client_id": None,
        "goal_words": "'analyze':1 'of':3 'reviews':5 'sentiment':2 'user':4",
    }


def test_goal_alone_gets_the_specified_defaults(client: Client) -> None:
    row = stored({"goal": "x"}, client)
    del row["id"], row["created_at"], row["updated_at"]
    assert row == DEFAULTS | {
        "goal": "x",
        "verdict": "safe",
        "client_id": None,
        "goal_words": "'x':1",
        "has_result": False,
    }


@pytest.mark.parametrize(
    ("budget", "cost", "seconds", "tokens"),
    [
        (None, "1.0", 600, 10_000),
        ({}, "1.0", 600, 10_000),
        ({"max_cost_usd": 2.5}, "2.5", 600, 10_000),
        ({"max_time_seconds": 1}, "1.0", 1, 10_000),
        ({"max_tokens": 1}, "1.0", 600, 1),
        ({"max_cost_usd": 0, "max_time_seconds": 0, "max_tokens": 0}, "0", 0, 0),
        # A double cannot hold 0.1 exactly, but the column can.
        ({"max_cost_usd": 0.1}, "0.1", 600, 10_000),
        ({"max_cost_usd": 99999999.9999}, "99999999.9999", 600, 10_000),
        ({"max_time_seconds": 2**31 - 1, "max_tokens": 2**31 - 1}, "1.0", 2**31 - 1, 2**31 - 1),
        # JSON has only one type of number, and some clients write every number as a float.
        ({"max_time_seconds": 300.0}, "1.0", 300, 10_000),
    ],
)
def test_missing_budget_values_take_their_defaults(
    budget: Any, cost: str, seconds: int, tokens: int, client: Client
) -> None:
    row = stored({"goal": "x", "budget": budget}, client)
    assert (row["max_cost_usd"], row["max_time_seconds"], row["max_tokens"]) == (
        Decimal(cost),
        seconds,
        tokens,
    )


# The limit of what a task may cost


@pytest.mark.parametrize(
    ("limit", "budget", "cost"),
    [
        # A submission that names no cost gets at most the limit.
        ("0.25", None, "0.25"),
        ("0.25", {}, "0.25"),
        ("0.25", {"max_tokens": 5}, "0.25"),
        ("0", None, "0"),
        ("5", None, "1.0"),
        ("5", {"max_cost_usd": 5}, "5"),
        ("0.25", {"max_cost_usd": 0.25}, "0.25"),
        ("0.25", {"max_cost_usd": 0}, "0"),
        (None, {"max_cost_usd": 99_999_999}, "99999999"),
    ],
)
def test_a_task_costs_at_most_the_limit(
    limit: str | None, budget: Any, cost: str, client: Client, settings: Any
) -> None:
    settings.MAX_COST_USD_PER_TASK = None if limit is None else Decimal(limit)
    row = stored({"goal": "x", "budget": budget}, client)
    assert row["max_cost_usd"] == Decimal(cost)


@pytest.mark.parametrize(
    ("limit", "cost"), [("0.25", 0.2501), ("0.25", 99_999_999), ("0", 0.0001), ("1E+1", 11)]
)
def test_a_submission_that_may_cost_more_than_the_limit_is_refused(
    limit: str, cost: float, client: Client, settings: Any, reflex_layer: ScriptedReflexLayer
) -> None:
    settings.MAX_COST_USD_PER_TASK = Decimal(limit)
    response = submit(client, {"goal": "x", "budget": {"max_cost_usd": cost}})
    dollars = "10" if limit == "1E+1" else limit
    assert (response.status_code, response.json()) == (
        400,
        {"budget": {"max_cost_usd": [f"A task may cost at most {dollars} US dollars."]}},
    )
    assert (reflex_layer.requests, Task.objects.count()) == ([], 0)


@pytest.mark.parametrize("priority", ["low", "medium", "high", "critical"])
def test_priority_is_stored(priority: str, client: Client) -> None:
    assert stored({"goal": "x", "priority": priority}, client)["priority"] == priority


@pytest.mark.parametrize(
    "goal",
    [
        "  spaces around \n",
        "tabs\tand\r\nlines",
        "👩‍👩‍👧 emoji",
        # Composed and decomposed: Unicode normalization would make these equal.
        "é é",
        "<script>alert(1)</script> & 'quotes' \"",
        "{{ 7 * 7 }} %s %(goal)s \\u0041",
        "\u202eright to left",
        "\ufeffbyte order mark",
    ],
)
def test_goal_is_stored_unchanged(goal: str, client: Client) -> None:
    assert submit(client, {"goal": goal}).json()["goal"] == goal
    assert Task.objects.get().goal == goal


def test_metadata_is_a_copy_of_the_context(client: Client) -> None:
    context = {"a": [1, 2.5, True, None, {"b": "ü"}], "": "", "c": {}}
    assert submit(client, {"goal": "x", "context": context}).json()["metadata"] == context
    task = Task.objects.get()
    task.task_metadata["added"] = "later"
    task.save(update_fields=["task_metadata"])
    task.refresh_from_db()
    assert (task.context, task.task_metadata) == (context, context | {"added": "later"})


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        (says(pii()), "PII detected in input"),
        (says(injection("High")), "injection detected in input"),
        (says(injection("Critical", status="Blocked")), "injection detected in input"),
        (says(injection() | PII_FIELDS), "PII and injection detected in input"),
        (says(answer(status="Blocked")), "blocked by the Reflex Layer"),
        # The policy does not block this severity, but the status from the Reflex Layer does.
        (says(injection("Low", status="Blocked")), "injection detected in input"),
        # Flags and findings that contradict each other.
        (says(answer(pii_detected=True)), "PII detected in input"),
        (says(answer(injection_detected=True)), "injection detected in input"),
        (says(pii(pii_type="NewKind") | {"pii_detected": False}), "PII detected in input"),
    ],
    ids=[
        "pii",
        "injection",
        "critical-and-blocked",
        "both",
        "blocked-without-finding",
        "low-but-blocked",
        "pii-flag-alone",
        "injection-flag-alone",
        "pii-without-flag",
    ],
)
def test_unsafe_submission_is_refused_and_its_text_is_not_stored(
    behaviour: Behaviour, detail: str, client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = behaviour
    response = submit(client, REFUSED)
    assert response.status_code == 403
    assert response.json() == {"detail": f"Safety check failed: {detail}"}
    assert tables_with("hunter2", "secret-key", "555-0199") == []


def tables_with(*texts: str) -> list[str]:
    """Return the tables of the database that contain one of `texts` anywhere."""
    with connection.cursor() as cursor:
        return [
            table
            for table in connection.introspection.table_names(cursor)
            if any(text in str(_rows(cursor, table)) for text in texts)
        ]


def _rows(cursor: Any, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f'SELECT * FROM "{table}"')
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def test_search_for_stored_text_finds_it(client: Client) -> None:
    submit(client, REFUSED)
    assert tables_with("hunter2") == ["tasks"]


@pytest.mark.parametrize("severity", ["Low", "Medium"])
def test_injection_of_lower_severity_is_accepted_and_flagged(
    severity: str, client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(injection(severity))
    assert stored(EXAMPLE, client)["verdict"] == "flagged"


@pytest.mark.parametrize(
    ("behaviour", "retry_after"),
    [
        (says(b"", status="500 Internal Server Error"), "5"),
        (says(b"", status="400 Bad Request"), "5"),
        (says(b"", status="429 Too Many Requests", headers="Retry-After: 7\r\n"), "7"),
        (says(answer(status="RateLimited")), "60"),
        (says(answer(status="fine")), "5"),
        (says(b"<html>"), "5"),
        (says({}), "5"),
        (lambda connection: False, "5"),
    ],
    ids=[
        "500",
        "400",
        "429",
        "rate-limited",
        "unknown-status",
        "no-json",
        "empty",
        "cut",
    ],
)
def test_submit_without_a_verdict_stores_nothing(
    behaviour: Behaviour, retry_after: str, client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = behaviour
    response = submit(client, REFUSED)
    assert (response.status_code, response["Retry-After"]) == (503, retry_after)
    assert response.json() == {"detail": NO_VERDICT}
    assert tables_with("hunter2", "secret-key", "555-0199") == []


def test_one_call_screens_all_texts(client: Client, reflex_layer: ScriptedReflexLayer) -> None:
    submit(
        client,
        {
            "goal": "the goal",
            "constraints": ["first constraint", "second constraint"],
            "acceptance_criteria": ["a criterion"],
            "context": {
                "key": "value",
                "nested": {"deep": [{"deeper": "bottom"}, "item"]},
                "number": 42,
                "yes": True,
                "nothing": None,
            },
        },
    )
    [text] = reflex_layer.texts
    assert text.splitlines() == [
        "the goal",
        "first constraint",
        "second constraint",
        "a criterion",
        "key: value",
        "nested: deep: deeper: bottom",
        "item",
        "number: 42",
        # Booleans and null have no text.
        "yes: nothing: ",
    ]


@pytest.mark.parametrize(
    "number",
    # A whole number, and the notations of a float.
    [b"4111111111111111", b"4111111111111111.0", b"4.111111111111111e15", b"4111111111111111e0"],
)
def test_card_number_sent_as_a_json_number_is_screened_as_digits(
    number: bytes, client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    submit(client, b'{"goal": "x", "context": {"card": %b}}' % number)
    assert reflex_layer.texts == ["x\ncard: 4111111111111111\n"]


def test_screening_asks_for_both_checks_and_names_no_user(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    submit(client, {"goal": "x", "context": {"user_id": "user123"}})
    [(method, path, headers, body)] = reflex_layer.requests
    assert (method, path, headers["content-type"]) == ("POST", "/process", "application/json")
    assert json.loads(body) == {
        "text": "x\nuser_id: user123\n",
        "user_id": None,
        "check_pii": True,
        "check_injection": True,
        "use_cache": False,
    }


def test_request_id_is_passed_on_and_returned(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    response = submit(client, EXAMPLE, **{"X-Request-ID": "trace_me-1"})
    [(_, _, headers, _)] = reflex_layer.requests
    assert (response["X-Request-ID"], headers["x-request-id"]) == ("trace_me-1", "trace_me-1")


def test_invalid_submission_is_not_screened(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    assert submit(client, {"goal": "x", "priorty": "high"}).status_code == 400
    assert (reflex_layer.requests, Task.objects.count()) == ([], 0)


def inserted(statement: str) -> list[str]:
    """Return the tables that a statement inserts into, in its order."""
    return re.findall(r'INSERT INTO "?(\w+)', statement)


def test_task_receipt_count_and_job_are_stored_by_one_statement(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1) as captured:
        submit(client, EXAMPLE)
    assert inserted(captured.captured_queries[0]["sql"]) == [
        "receipts",
        "tasks",
        "counts",
        "procrastinate_jobs",
    ]
    [job] = jobs()
    assert job == begins(Task.objects.get())
    assert (counters("tasks"), Receipt.objects.count()) == ({("pending",): 1}, 1)


@pytest.mark.parametrize("priority", ["low", "medium", "high", "critical"])
@pytest.mark.parametrize("has_key", [True, False])
def test_the_job_of_a_submission_has_its_place_in_line(
    priority: str, has_key: bool, client: Client
) -> None:
    key = key_of(ClientFactory(max_pending=5)) if has_key else ""
    body = {"goal": "x", "priority": priority}
    assert of_client.submit(client, key, body).status_code == 200
    task = Task.objects.get()
    [job] = jobs()
    assert job == begins(task)
    assert (task.client_id is not None) == has_key


def test_submissions_are_counted_in_place(client: Client) -> None:
    for _ in range(3):
        submit(client, EXAMPLE)
    assert counters("tasks") == {("pending",): 3}
    # This thread has one part.
    assert Count.objects.count() == 1


@pytest.mark.parametrize("verdict", ["refused", "none"])
def test_a_submission_that_is_not_accepted_rings_nobody_and_is_not_counted(
    verdict: str, client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(pii() if verdict == "refused" else b"")
    assert submit(client, EXAMPLE).status_code == (403 if verdict == "refused" else 503)
    assert (jobs(), counters("tasks")) == ([], {})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["procrastinate_jobs", "counts"])
def test_a_task_that_could_not_be_rung_or_counted_is_not_accepted(
    table: str, client: Client
) -> None:
    client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK (false)")
        try:
            assert submit(client, EXAMPLE).status_code == 500
        finally:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT refused")
    assert (Task.objects.count(), Receipt.objects.count()) == (0, 0)
    assert (jobs(), counters("tasks")) == ([], {})


def test_refused_submission_stores_only_its_receipt(
    client: Client, reflex_layer: ScriptedReflexLayer, django_assert_num_queries: Any
) -> None:
    reflex_layer.behaviour = says(pii())
    with django_assert_num_queries(1) as captured:
        submit(client, EXAMPLE)
    assert inserted(captured.captured_queries[0]["sql"]) == ["receipts"]
    assert Task.objects.count() == 0


def test_same_submission_twice_makes_two_tasks(client: Client) -> None:
    first, second = (submit(client, EXAMPLE).json()["task_id"] for _ in range(2))
    assert first != second
    assert Task.objects.count() == 2


def test_browsable_form_stores_the_task_too(client: Client) -> None:
    response = submit(client, {"goal": "<script>alert(1)</script>"}, Accept="text/html")
    assert response.status_code == 200
    assert b"<script>alert(1)" not in response.content
    assert Task.objects.get().goal == "<script>alert(1)</script>"
