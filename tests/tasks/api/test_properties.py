"""Properties of all submissions, tested with generated examples."""

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safety.gate import gate
from tasks.api.parsers import parse_json
from tasks.api.serializers import parse_submission
from tasks.models import Task
from tests.safety.reflex_client.json_values import texts_of

pytestmark = pytest.mark.django_db

EXAMPLES = settings(
    max_examples=150,
    # A slow machine must not fail the test.
    deadline=None,
    # Each run uses the same examples; otherwise the tests would be flaky.
    derandomize=True,
    # The database is rolled back after the test, not after each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Includes NUL, lone surrogates and blank texts.
texts = st.text(st.characters(exclude_categories=[]), max_size=20)
numbers = st.integers() | st.floats() | st.sampled_from([2**31, 10**400, 5e-324, 1e308, -0.0])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    "goal constraints context acceptance_criteria priority budget max_tokens priorty".split()
)
bodies = st.dictionaries(fields, values, max_size=6) | st.dictionaries(fields | texts, values)
budgets = st.dictionaries(
    st.sampled_from(["max_cost_usd", "max_time_seconds", "max_tokens"]), leaves, min_size=1
)

# PostgreSQL and JSON can hold these values, so the service must return them unchanged.
good_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
good_texts = st.text(good_characters, max_size=40)
good_goals = good_texts.filter(str.strip)
good_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
good_values = st.recursive(
    st.none() | st.booleans() | good_numbers | good_texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(good_texts, inner, max_size=5),
    max_leaves=15,
)
good_contexts = st.dictionaries(good_texts, good_values, max_size=5)
# The defaults of the budget. A number that equals its default is not screened.
BUDGET = {"max_cost_usd": 1, "max_time_seconds": 600, "max_tokens": 10_000}


@pytest.fixture(autouse=True)
def _screening_is_off(settings: Any) -> Iterator[None]:
    """Turn screening off, so that only the service itself refuses submissions."""
    settings.ENABLE_REFLEX_INTEGRATION = False
    gate.cache_clear()
    yield
    gate.cache_clear()


def submit(client: Client, body: bytes) -> Any:
    # The test client raises exceptions that a server would answer with a 500.
    return client.post("/submit", body, content_type="application/json")


def with_doubles(value: Any) -> Any:
    """Return `value` as parsed by a JSON reader that turns every number into a double."""
    return json.loads(json.dumps(value), parse_int=float)


@EXAMPLES
@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused(client: Client, body: bytes) -> None:
    assert submit(client, body).status_code == 400


@EXAMPLES
@given(value=bodies | values)
def test_any_json_is_accepted_or_refused(client: Client, value: Any) -> None:
    response = submit(client, json.dumps(value).encode())
    assert response.status_code in (200, 400)
    assert isinstance(response.json(), dict)


@EXAMPLES
@given(value=bodies | values)
def test_any_json_can_be_sent_from_the_browsable_form(client: Client, value: Any) -> None:
    response = client.post(
        "/submit",
        json.dumps(value),
        content_type="application/json",
        headers={"Accept": "text/html"},
    )
    assert response.status_code in (200, 400)
    assert response["Content-Type"] == "text/html; charset=utf-8"


@EXAMPLES
@given(body=bodies.map(json.dumps), at=st.integers(0, 200), junk=st.text(max_size=3))
def test_damaged_json_is_accepted_or_refused(client: Client, body: str, at: int, junk: str) -> None:
    damaged = body[:at] + junk + body[at + 1 :]
    assert submit(client, damaged.encode()).status_code in (200, 400)


@EXAMPLES
@given(budget=budgets)
def test_any_budget_is_stored_unchanged_or_refused(client: Client, budget: dict[str, Any]) -> None:
    response = submit(client, json.dumps({"goal": "x", "budget": budget}).encode())
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        task = Task.objects.get(pk=response.json()["task_id"])
        assert {name: float(getattr(task, name)) for name in budget} == budget


@EXAMPLES
@given(goal=good_goals, context=good_contexts)
def test_good_submission_reads_back_equal(
    client: Client, goal: str, context: dict[str, Any]
) -> None:
    response = submit(client, json.dumps({"goal": goal, "context": context}).encode())
    assert response.status_code == 200, response.content
    read = client.get(response["Location"]).json()
    assert read == {
        "task_id": response.json()["task_id"],
        "goal": goal,
        "status": "pending",
        "priority": "medium",
        "created_at": ANY,
        "updated_at": read["created_at"],
        "metadata": ANY,
        "failure": None,
        "usage": {"tokens": 0, "cost_usd": 0, "seconds": 0, "estimated": False},
        "progress": {
            "since": read["created_at"],
            "steps": None,
            "done": 0,
            "step": None,
            "waits_for": None,
            "detail": "No worker is running.",
        },
        "criteria": [],
        "result": None,
    }
    assert with_doubles(read["metadata"]) == with_doubles(context)
    task = Task.objects.get(pk=read["task_id"])
    assert (task.goal, with_doubles(task.context)) == (goal, with_doubles(context))


def texts_stored(task_id: str, column: str) -> list[str]:
    """Return the texts and numbers of a JSON column in any order, with their stored digits."""
    with connection.cursor() as cursor:
        # `column` comes from the test, not from input.
        cursor.execute(f"SELECT {column}::text FROM tasks WHERE id = %s", [task_id])
        (stored,) = cursor.fetchone()
    return texts_of(json.loads(stored, parse_int=str, parse_float=str))


# Large numbers, small numbers, and numbers with more digits than a double has.
tricky_numbers = st.sampled_from(
    "6212345678901015000.0 4111111111111111.0 4.111111111111111e15 1e22 -0.0 0.1 1.50 1e-7 "
    "123456789012345678901234567890 5e-324 1e308 12345678.12345678 300.0 2e0".split()
)
any_numbers = tricky_numbers | good_numbers.map(json.dumps)


@EXAMPLES
@given(numbers=st.lists(any_numbers, max_size=6), context=good_contexts)
def test_screened_texts_are_the_stored_texts(
    client: Client, numbers: list[str], context: dict[str, Any]
) -> None:
    context_json = f'{{"n": [{", ".join(numbers)}], "rest": {json.dumps(context)}}}'
    body = f'{{"goal": "x", "constraints": ["y"], "context": {context_json}}}'.encode()
    screened = [piece.text for piece in parse_submission(parse_json(body)).document.pieces]

    task_id = submit(client, body).json()["task_id"]

    for column in ("context", "task_metadata"):
        assert sorted(screened) == sorted(["x", "y", *texts_stored(task_id, column)])


@EXAMPLES
@given(budget=st.dictionaries(st.sampled_from(list(BUDGET)), st.integers(0, 10**8 - 1), min_size=1))
def test_screened_budget_is_the_stored_budget(client: Client, budget: dict[str, int]) -> None:
    chosen = {name: number for name, number in budget.items() if number != BUDGET[name]}
    body = json.dumps({"goal": "x", "budget": budget}).encode()
    document = parse_submission(parse_json(body)).document
    screened = [piece.text for piece in document.pieces if piece.is_number]

    task_id = submit(client, body).json()["task_id"]

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max_cost_usd::text, max_time_seconds::text, max_tokens::text FROM tasks "
            "WHERE id = %s",
            [task_id],
        )
        stored = dict(zip(BUDGET, cursor.fetchone(), strict=True))
    assert screened == [stored[name] for name in BUDGET if name in chosen]


@EXAMPLES
@given(texts=st.lists(good_goals, max_size=5))
def test_good_constraints_and_criteria_read_back_equal(client: Client, texts: list[str]) -> None:
    body = {"goal": "x", "constraints": texts, "acceptance_criteria": texts[::-1]}
    task_id = submit(client, json.dumps(body).encode()).json()["task_id"]
    task = Task.objects.get(pk=task_id)
    assert (task.constraints, task.acceptance_criteria) == (texts, texts[::-1])


@EXAMPLES
@given(
    task_id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1)
)
def test_any_unknown_id_is_not_found(client: Client, task_id: str) -> None:
    response = client.get(f"/tasks/{quote(task_id, safe='')}")
    assert (response.status_code, response.json()) == (404, {"detail": "Task not found"})
