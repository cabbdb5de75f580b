"""Arms that speak `octollm`, on real sockets."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest

from safety.outbound.transport import Deadline
from tasks.arms.description import Health
from tasks.arms.exceptions import (
    TooLittleBudget,
)
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Answer, Usage
from tests.arms import (
    PROVENANCE,
    Behaviour,
    ScriptedArm,
    closes,
    hangs,
    says,
    says_status,
    succeeds,
    with_usage,
)
from tests.tasks.arms.calls import KEY, SUBJECT, call, octollm, sent, work

USAGE = Usage(30, Decimal("0.0125"))


@pytest.fixture
def adapter(scripted: ScriptedArm) -> OctollmAdapter:
    return OctollmAdapter(octollm(scripted))


# The request


def test_the_request_is_that_of_the_protocol(adapter: OctollmAdapter) -> None:
    request = adapter.request(work())

    assert sent(request.body) == {
        "task_contract": {
            "task_id": f"task-{SUBJECT}",
            "goal": "Analyze sentiment of user reviews",
            "constraints": ["No PII in output"],
            "context": {"reviews": ["Größte Freude"]},
            "acceptance_criteria": ["Sentiment score between -1 and 1"],
            "budget": {"max_tokens": 2_000, "max_time_seconds": 300, "max_cost_usd": 0.5},
            "priority": "high",
            "assigned_arm": "words",
            "created_at": "2026-11-28T12:00:00.000Z",
            "deadline": "2026-11-28T12:05:00.000Z",
            "required_capabilities": ["execute"],
            "api_version": "v1",
            "schema_version": "1.0.0",
        },
        "capability_token": "",
        "request_id": str(KEY),
        "timeout_seconds": 60,
    }
    assert (request.tokens, request.cost_usd) == (2_000, Decimal("0.5"))


def test_the_same_work_has_the_same_bytes(scripted: ScriptedArm) -> None:
    first, second = (OctollmAdapter(octollm(scripted)).request(work()) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(("given", "sent_seconds"), [(0.2, 1), (59.7, 60), (9_000, 300)])
def test_the_timeout_on_the_wire_is_within_the_protocol(
    adapter: OctollmAdapter, given: float, sent_seconds: int
) -> None:
    body = adapter.request(work(timeout_seconds=given)).body

    assert sent(body)["timeout_seconds"] == sent_seconds


def test_there_is_no_request_without_tokens(adapter: OctollmAdapter) -> None:
    with pytest.raises(TooLittleBudget):
        adapter.request(work(max_tokens=0))


def test_the_bytes_and_headers_arrive(scripted: ScriptedArm) -> None:
    adapter = OctollmAdapter(octollm(scripted), "s3cret")
    body = adapter.request(work()).body

    call(adapter, body=body, request_id="request-1")

    [request] = scripted.requests
    assert (request.method, request.path, request.body) == ("POST", "/execute", body)
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-request-id"] == "request-1"
    assert scripted.keys == [str(KEY)]


def test_without_a_secret_there_is_no_authorization(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    call(adapter)

    assert "authorization" not in scripted.requests[0].headers


def test_each_call_has_a_connection_of_its_own(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    for _ in range(3):
        call(adapter)

    assert (len(scripted.requests), scripted.connections) == (3, 3)


# Answers


def test_an_answer_has_result_confidence_and_usage(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    scripted.behaviour = succeeds({"sentiment": 0.4})

    assert call(adapter) == Answer({"sentiment": 0.4}, 0.9, USAGE)


@pytest.mark.parametrize("result", [{}, [], "", 0, False, "Größte Freude 😍", [[1.5, None]]])
def test_any_json_value_but_null_is_a_result(
    scripted: ScriptedArm, adapter: OctollmAdapter, result: Any
) -> None:
    scripted.behaviour = succeeds(result)

    assert call(adapter).result == result


def test_a_value_as_deep_as_allowed_is_a_result(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    deep = json.loads("[" * 100 + "]" * 100)
    scripted.behaviour = succeeds(deep)

    assert call(adapter).result == deep


@pytest.mark.parametrize(
    ("reported", "confidence"),
    [(0, 0), (1, 1), (0.25, 0.25), (None, 0.5), (1.5, 0.5), (-1, 0.5), (True, 0.5), ("1", 0.5)],
)
def test_a_confidence_that_cannot_be_one_is_half(
    scripted: ScriptedArm, adapter: OctollmAdapter, reported: Any, confidence: float
) -> None:
    scripted.behaviour = with_usage(confidence=reported)

    assert call(adapter).confidence == confidence


@pytest.mark.parametrize(
    "provenance",
    [None, [], "none", {"arm_id": "x"}, {**PROVENANCE, "confidence": math.nan}],
    ids=["null", "list", "text", "only-the-arm", "confidence-nan"],
)
def test_an_answer_without_a_usable_provenance_stands(
    scripted: ScriptedArm, adapter: OctollmAdapter, provenance: Any
) -> None:
    scripted.behaviour = succeeds("done", provenance=provenance)

    answer = call(adapter)

    assert (answer.result, answer.confidence) == ("done", 0.5)


@pytest.mark.parametrize(
    ("reported", "tokens"),
    [
        (0, 0),
        (30.0, 30),
        (1_000_000_000, 1_000_000_000),
        (-1, None),
        (1.5, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        (True, None),
        ("30", None),
        ([30], None),
        (10**30, None),
    ],
)
def test_tokens_that_cannot_be_are_unknown(
    scripted: ScriptedArm, adapter: OctollmAdapter, reported: Any, tokens: int | None
) -> None:
    scripted.behaviour = with_usage(tokens_consumed=reported)

    assert call(adapter).usage == Usage(tokens, USAGE.cost_usd)


@pytest.mark.parametrize(
    ("reported", "cost"),
    [
        (0, Decimal(0)),
        (2, Decimal(2)),
        (0.1, Decimal("0.1")),
        # Rounded up, so that many small calls do not cost nothing.
        (1e-12, Decimal("0.00000001")),
        (1_000_001, None),
        (-0.01, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        (True, None),
        ("0.1", None),
    ],
)
def test_a_cost_that_cannot_be_is_unknown(
    scripted: ScriptedArm, adapter: OctollmAdapter, reported: Any, cost: Decimal | None
) -> None:
    scripted.behaviour = with_usage(estimated_cost_usd=reported)

    assert call(adapter).usage == Usage(USAGE.tokens, cost)


# Health


@pytest.mark.parametrize(
    ("behaviour", "health"),
    [
        (says({"status": "healthy", "version": "1"}), Health.HEALTHY),
        (says({"status": "ok"}), Health.HEALTHY),
        (says({"status": "degraded"}), Health.DEGRADED),
        (says({"status": "unhealthy"}), Health.DOWN),
        (says({"status": ["healthy"]}), Health.DOWN),
        (says({}), Health.DOWN),
        (says([]), Health.DOWN),
        (says(b"<html>"), Health.DOWN),
        (says({"status": "healthy"}, status="503 Unavailable"), Health.DOWN),
        (says_status("429 Too Many"), Health.DEGRADED),
        (says_status("401 Unauthorized"), Health.MISCONFIGURED),
        (says_status("404 Not Found"), Health.MISCONFIGURED),
        (says(b" " * 1_100_000), Health.DOWN),
        (closes(), Health.DOWN),
        (hangs(), Health.DOWN),
    ],
)
def test_the_health_of_an_arm(
    scripted: ScriptedArm, adapter: OctollmAdapter, behaviour: Behaviour, health: Health
) -> None:
    scripted.health = behaviour

    assert adapter.check(deadline=Deadline(0.5)) is health


def test_a_check_asks_for_health_with_the_secret(scripted: ScriptedArm) -> None:
    OctollmAdapter(octollm(scripted), "s3cret").check(deadline=Deadline(5))

    [request] = scripted.requests
    assert (request.method, request.path) == ("GET", "/health")
    assert request.headers["authorization"] == "Bearer s3cret"
