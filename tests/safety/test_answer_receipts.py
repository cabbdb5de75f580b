"""Receipts of what arms answered."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection

from safety.document import MAX_ANSWER_TEXT_BYTES, Document
from safety.exceptions import NoVerdict
from safety.findings import Finding, Kind
from safety.models import Occasion, Receipt, ReceiptVerdict
from safety.origin import Origin
from safety.policy import Policy, Verdict
from safety.receipts import receipt_of, receipt_without_verdict
from safety.screening import Screening, screen

pytestmark = pytest.mark.django_db

TASK = UUID("6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e")
ORIGIN = Origin(request_id="call-1", client_address="", client_id=uuid4())
NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
RESULT = {"rows": [{"Jane_Doe": "hiv"}, "x"], "note": ["ok"]}


def document_of(value: Any) -> Document:
    return Document({"result": value}, max_text_bytes=MAX_ANSWER_TEXT_BYTES)


def answered(screening: Screening, **fields: Any) -> Receipt:
    given = {"occasion": Occasion.ANSWER, "subject_id": TASK} | fields
    return receipt_of(screening, policy_version="abc", origin=ORIGIN, **given)


def found_everywhere(verdict: Verdict) -> Screening:
    """Return a screening with a finding in each value of `RESULT`."""
    document = document_of(RESULT)
    offset, findings = 0, []
    for piece in document.pieces:
        if not piece.is_key:
            places = document.places(offset, offset + len(piece.text))
            findings.append(Finding(Kind.PII, "Email", places=places))
        offset += len(piece.text + piece.separator)
    return Screening(document, verdict, findings=tuple(findings))


def fields_of(receipt: Receipt) -> list[str]:
    return [place["field"] for finding in receipt.findings for place in finding["places"]]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_an_answer_of_each_verdict_names_its_task(verdict: Verdict) -> None:
    answered(Screening(document_of(RESULT), verdict)).save(force_insert=True)

    receipt = Receipt.objects.get()
    assert (receipt.occasion, receipt.subject_id) == ("answer", TASK)
    assert (receipt.verdict, receipt.client_id) == (verdict.value, ORIGIN.client_id)
    assert (receipt.request_id, receipt.client_address) == ("call-1", "")


def test_an_answer_without_a_verdict_names_its_task() -> None:
    error = NoVerdict("deadline exceeded")

    receipt_without_verdict(
        error, policy_version="abc", origin=ORIGIN, occasion=Occasion.ANSWER, subject_id=TASK
    ).save(force_insert=True)

    receipt = Receipt.objects.get()
    assert (receipt.occasion, receipt.subject_id) == ("answer", TASK)
    assert (receipt.verdict, receipt.reason) == ("none", "deadline exceeded")


def test_fields_of_an_answer_begin_with_result() -> None:
    receipt = answered(found_everywhere(Verdict.SAFE))

    assert fields_of(receipt) == ["result.rows[0].Jane_Doe", "result.rows[1]", "result.note[0]"]


def test_no_key_of_a_refused_answer_is_named() -> None:
    receipt = answered(found_everywhere(Verdict.BLOCKED))

    assert fields_of(receipt) == ["result.*[0].*", "result.*[1]", "result.*[0]"]
    assert "Jane" not in json.dumps(receipt.findings)


def test_a_result_that_is_a_text_is_named_alone() -> None:
    finding = Finding(Kind.PII, "Email", places=document_of("jane").places(0, 4))
    screening = Screening(document_of("jane"), Verdict.SAFE, findings=(finding,))

    assert fields_of(answered(screening)) == ["result"]


def test_an_answer_beyond_the_limit_has_a_receipt() -> None:
    screening = screen(document_of([1e308] * 20_000), ask=pytest.fail, policy=Policy())

    answered(screening).save(force_insert=True)

    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.reason, receipt.findings) == ("blocked", "text too long", [])


# What the database holds


@pytest.mark.parametrize("verdict", [*ReceiptVerdict])
def test_the_database_refuses_an_answer_without_a_task(verdict: str) -> None:
    reason = "late" if verdict == "none" else ""
    with pytest.raises(IntegrityError, match="receipts_subject_known"):
        Receipt.objects.create(verdict=verdict, reason=reason, occasion="answer")


def test_the_database_refuses_an_accepted_submission_without_a_task() -> None:
    # The trigger for the version before would name one.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE receipts DISABLE TRIGGER receipts_name_subject")
    with pytest.raises(IntegrityError, match="receipts_subject_known"):
        Receipt.objects.create(verdict="safe")


def test_a_task_may_have_many_receipts_of_answers_beside_that_of_its_submission() -> None:
    submitted = Receipt.objects.create(verdict="safe", subject_id=TASK, created_at=NOW)
    answers = [
        Receipt.objects.create(
            verdict=verdict,
            subject_id=TASK,
            occasion="answer",
            created_at=NOW + timedelta(hours=number),
        )
        for number, verdict in enumerate(("safe", "safe", "blocked"))
    ]
    Receipt.objects.create(verdict="safe", subject_id=uuid4(), occasion="answer")

    assert [*Receipt.objects.of_answers(TASK)] == answers[::-1]
    assert [*Receipt.objects.of_submission(TASK)] == [submitted]
    with pytest.raises(IntegrityError, match="receipts_one_submission_each"):
        Receipt.objects.create(verdict="flagged", subject_id=TASK)


# What counts submissions only


def test_answers_are_not_found_by_the_request_id_of_a_submission() -> None:
    answered(Screening(document_of(RESULT), Verdict.SAFE)).save()

    assert Receipt.objects.subject_ids_with_request_id("call-1") == []


def test_counts_leave_answers_out() -> None:
    for verdict in ("safe", "blocked"):
        fields = {"verdict": verdict, "types": ["Email"], "created_at": NOW}
        Receipt.objects.create(occasion="answer", subject_id=TASK, **fields)
    Receipt.objects.create(verdict="blocked", types=["SSN"], created_at=NOW)

    hour = NOW.replace(minute=0)
    assert Receipt.objects.count_by_hour(since=NOW) == {(hour, ReceiptVerdict.BLOCKED): 1}
    assert Receipt.objects.count_by_type(since=NOW, limit=10) == {"SSN": 1}


def test_answers_are_found_by_the_type_of_a_finding() -> None:
    answered(found_everywhere(Verdict.SAFE)).save()

    assert Receipt.objects.with_finding_of_type("Email").count() == 1
