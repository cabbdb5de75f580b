"""What a submission leaves behind: its receipt, and a task without what was replaced."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY

from safety.gate import gate
from safety.models import Receipt
from safety.policy import PiiAction
from tasks.models import Task
from tests.reflex_layer import ScriptedReflexLayer, answer, injection, pii, says
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

SECRET = "jane@example.org"
CIRCUIT_STATE = "octollm_orchestrator_circuit_state"


def submit(client: Client, body: dict[str, Any], **headers: str) -> Any:
    return client.post(
        "/submit", json.dumps(body), content_type="application/json", headers=headers
    )


def finds(reflex_layer: ScriptedReflexLayer, secret: str, pii_type: Any = "Email") -> None:
    """Let the Reflex Layer find each `secret` of what it is sent, as it would."""

    def behave(connection: Any) -> bool:
        text = reflex_layer.texts[-1].encode()
        needle, matches, start = secret.encode(), [], -1
        while (start := text.find(needle, start + 1)) >= 0:
            where = {"start": start, "end": start + len(needle), "matched_text": secret}
            matches.append({"pii_type": pii_type, "confidence": 0.9} | where)
        found = answer(pii_detected=bool(matches), pii_matches=matches)
        return says(found)(connection)

    reflex_layer.behaviour = behave


@pytest.fixture
def redacting(settings: Any, reflex_layer: ScriptedReflexLayer) -> Iterator[ScriptedReflexLayer]:
    """A Reflex Layer whose PII is replaced."""
    settings.PII_ACTION = PiiAction.REDACT
    gate.cache_clear()
    yield reflex_layer
    gate.cache_clear()


def test_a_receipt_names_its_task(client: Client, reflex_layer: ScriptedReflexLayer) -> None:
    response = submit(client, {"goal": "Plan"}, **{"X-Request-ID": "receipt-1"})
    receipt = Receipt.objects.get()
    task = Task.objects.get()
    assert str(receipt.subject_id) == str(task.pk) == response.json()["task_id"]
    assert receipt.occasion == "submission"
    assert receipt.pk != task.pk
    assert task.receipt == receipt
    assert (receipt.verdict, receipt.reason, receipt.findings) == ("safe", "", [])
    assert receipt.policy_version == gate().policy_version
    assert (receipt.reflex_request_id, receipt.cache_hit) == ("reflex-1", False)
    assert (receipt.client_address, receipt.request_id) == ("127.0.0.1", "receipt-1")
    assert receipt.created_at == task.created_at == task.updated_at
    assert 0 < receipt.duration_seconds < 2


def test_a_flagged_task_looks_like_any_other_to_its_client(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    plain = submit(client, {"goal": "Plan"})
    reflex_layer.behaviour = says(injection("Medium"))
    flagged = submit(client, {"goal": "Plan"})
    assert flagged.status_code == plain.status_code == 200
    assert flagged.json().keys() == plain.json().keys()
    assert {*flagged.headers} == {*plain.headers}
    read = client.get(flagged.headers["Location"])
    assert read.json().keys() == client.get(plain.headers["Location"]).json().keys()
    assert Receipt.objects.get(subject_id=flagged.json()["task_id"]).verdict == "flagged"


def test_a_refusal_names_the_fields_and_keeps_no_text(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    finds(reflex_layer, SECRET)
    body = {
        "goal": f"Grüße an {SECRET}",
        "constraints": ["ok", f"not {SECRET}"],
        "context": {"Jane_Doe_hiv_positive": {"note": f"x {SECRET}"}, SECRET: "value"},
    }
    assert submit(client, body).status_code == 403
    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.subject_id) == ("blocked", None)
    assert [finding["places"] for finding in receipt.findings] == [
        [{"field": "goal", "start": 9, "end": 25, "is_key": False}],
        [{"field": "constraints[1]", "start": 4, "end": 20, "is_key": False}],
        [{"field": "context.*.*", "start": 2, "end": 18, "is_key": False}],
        [{"field": "context.*", "start": 0, "end": 16, "is_key": True}],
    ]
    assert Task.objects.count() == 0
    assert SECRET not in str(vars(receipt))
    assert "Jane" not in str(vars(receipt))


@pytest.mark.parametrize(
    ("status", "reason"),
    [("500 No", "server error"), ("429 No", "rate limited"), ("400 No", "request rejected")],
)
def test_a_lack_of_verdict_leaves_a_receipt_with_its_reason(
    client: Client, reflex_layer: ScriptedReflexLayer, status: str, reason: str
) -> None:
    reflex_layer.behaviour = says({}, status=status)
    assert submit(client, {"goal": "Plan"}).status_code == 503
    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.reason, receipt.subject_id) == ("none", reason, None)
    assert receipt.policy_version == gate().policy_version
    assert receipt.duration_seconds > 0


def test_refusals_of_the_open_circuit_are_counted_and_not_stored(
    client: Client, reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.CIRCUIT_FAILURES = 2
    gate.cache_clear()
    reflex_layer.behaviour = says({}, status="500 No")
    assert [submit(client, {"goal": "Plan"}).status_code for _ in range(2)] == [503] * 2
    wait_until(lambda: REGISTRY.get_sample_value(CIRCUIT_STATE, {"state": "open"}))
    assert [submit(client, {"goal": "Plan"}).status_code for _ in range(3)] == [503] * 3
    assert Receipt.objects.count() == 2


def test_an_unscreened_task_has_a_receipt_that_says_so(client: Client, settings: Any) -> None:
    settings.ENABLE_REFLEX_INTEGRATION = False
    gate.cache_clear()
    task_id = submit(client, {"goal": "Plan"}).json()["task_id"]
    gate.cache_clear()
    receipt = Receipt.objects.get(subject_id=task_id)
    assert (receipt.verdict, receipt.policy_version) == ("unscreened", "")


def test_redact_replaces_values_everywhere_and_says_so(
    client: Client, redacting: ScriptedReflexLayer
) -> None:
    finds(redacting, SECRET)
    response = submit(
        client,
        {
            "goal": f"Ask {SECRET} and {SECRET}",
            "constraints": [f"{SECRET}"],
            "acceptance_criteria": ["kept"],
            "context": {"a": [{"b": f"at {SECRET}."}, True, None, 7]},
        },
    )
    assert response.status_code == 200
    assert response.headers["X-Redacted"] == "Email"
    assert response.json()["goal"] == "Ask [EMAIL] and [EMAIL]"
    assert response.json()["metadata"] == {"a": [{"b": "at [EMAIL]."}, True, None, 7]}
    task = Task.objects.get()
    assert task.goal == "Ask [EMAIL] and [EMAIL]"
    assert task.constraints == ["[EMAIL]"]
    assert task.acceptance_criteria == ["kept"]
    assert task.context == task.task_metadata == {"a": [{"b": "at [EMAIL]."}, True, None, 7]}
    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.redacted_types) == ("safe", ["Email"])
    assert client.get(response.headers["Location"]).json()["goal"] == "Ask [EMAIL] and [EMAIL]"


@pytest.mark.parametrize(
    ("number", "text"),
    [(4111111111111111, "4111111111111111"), (4.111111111111111e15, "4111111111111111")],
)
def test_redact_replaces_a_number_by_its_label(
    client: Client, redacting: ScriptedReflexLayer, number: float, text: str
) -> None:
    finds(redacting, text, "CreditCard")
    response = submit(client, {"goal": "Plan", "context": {"card": number, "count": 3}})
    assert response.json()["metadata"] == {"card": "[CREDITCARD]", "count": 3}


@pytest.mark.parametrize("action", [PiiAction.BLOCK, PiiAction.REDACT])
def test_a_finding_in_the_budget_refuses(
    client: Client, reflex_layer: ScriptedReflexLayer, settings: Any, action: PiiAction
) -> None:
    settings.PII_ACTION = action
    gate.cache_clear()
    finds(reflex_layer, "2025550172", "Phone")
    response = submit(client, {"goal": "Plan", "budget": {"max_tokens": 2025550172}})
    assert response.status_code == 403
    [finding] = Receipt.objects.get().findings
    assert [place["field"] for place in finding["places"]] == ["budget.max_tokens"]


def test_only_the_chosen_numbers_of_a_budget_are_screened(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    submit(client, {"goal": "Plan", "budget": {"max_cost_usd": 0.5, "max_time_seconds": 600}})
    assert reflex_layer.texts == ["Plan\nmax_cost_usd: 0.5000\n"]


def test_a_text_that_cannot_be_redacted_is_refused_with_a_reason(
    client: Client, redacting: ScriptedReflexLayer
) -> None:
    # Found where the label stands, and quoted as it was: so it may be anywhere.
    redacting.behaviour = says(pii(start=0, end=4, matched_text="Plan"))
    response = submit(client, {"goal": "Plan it"})
    assert response.status_code == 403
    assert response.json() == {"detail": "Safety check failed: PII detected in input"}
    assert Task.objects.count() == 0


def test_too_many_findings_are_refused_with_their_reason(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(
        json.dumps(answer()).encode().ljust(1_048_577), headers="Content-Type: application/json\r\n"
    )
    response = submit(client, {"goal": "Plan"})
    assert response.status_code == 403
    assert response.json() == {"detail": "Safety check failed: too many findings"}
    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.reason) == ("blocked", "too many findings")


def test_redact_calls_a_custom_type_pii(client: Client, redacting: ScriptedReflexLayer) -> None:
    finds(redacting, "K-77", {"Custom": "<b>customer number</b>"})
    response = submit(client, {"goal": "Look up K-77"})
    assert response.json()["goal"] == "Look up [PII]"
    assert response.headers["X-Redacted"] == "Custom"


def test_redact_blocks_what_lies_in_a_key(client: Client, redacting: ScriptedReflexLayer) -> None:
    finds(redacting, SECRET)
    response = submit(client, {"goal": "Plan", "context": {SECRET: 1}})
    assert response.status_code == 403
    assert response.json() == {"detail": "Safety check failed: PII detected in input"}
    assert Task.objects.count() == 0


@pytest.mark.parametrize(
    "where",
    [
        pytest.param({"start": 0, "end": 3}, id="another text stands there"),
        pytest.param({"start": 5, "end": 999}, id="beyond the end"),
        pytest.param({"start": None, "end": None}, id="nowhere"),
        pytest.param({"start": 21, "end": 5}, id="reversed"),
        pytest.param({"start": 5, "end": 21, "matched_text": None}, id="not quoted"),
    ],
)
def test_redact_blocks_what_it_cannot_replace_with_certainty(
    client: Client, redacting: ScriptedReflexLayer, where: dict[str, Any]
) -> None:
    redacting.behaviour = says(pii(**{"matched_text": SECRET} | where))
    assert submit(client, {"goal": f"Mail {SECRET}"}).status_code == 403
    assert Task.objects.count() == 0


def test_nothing_redacted_says_nothing(client: Client, redacting: ScriptedReflexLayer) -> None:
    assert "X-Redacted" not in submit(client, {"goal": "Plan"}).headers


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["receipts", "tasks"])
def test_without_its_receipt_there_is_no_task_nor_the_other_way_round(
    client: Client, reflex_layer: ScriptedReflexLayer, table: str
) -> None:
    client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT nothing_safe CHECK (verdict <> 'safe')")
        try:
            assert submit(client, {"goal": "Plan"}).status_code == 500
        finally:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT nothing_safe")
    assert (Task.objects.count(), Receipt.objects.count()) == (0, 0)
