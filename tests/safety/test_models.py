"""Receipts: what they say, and what they never hold."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection

from safety.document import Document
from safety.exceptions import NoVerdict
from safety.findings import Finding, Kind, Match, Severity, locate
from safety.models import Receipt
from safety.origin import Origin
from safety.policy import Verdict
from safety.receipts import (
    MAX_FINDINGS,
    MAX_PLACES_PER_FINDING,
    described,
    receipt_of,
    receipt_without_verdict,
)
from safety.screening import Screening

pytestmark = pytest.mark.django_db

CLIENT = UUID("0d0ee1b6-9d1c-4ff0-8a4f-b0b1d9a9b5f7")
ORIGIN = Origin(request_id="request-1", client_address="192.0.2.7", client_id=CLIENT)
DOCUMENT = Document(
    {
        "goal": "é ask jane",
        "constraints": ["one", "jane two"],
        "context": {"jane": {"note": "jane"}, "user": {"jane@b": 4111, "note": "jane"}},
    }
)
COLUMNS = [
    ("id", "uuid", "NO"),
    ("verdict", "text", "NO"),
    ("reason", "text", "NO"),
    ("findings", "jsonb", "NO"),
    ("findings_count", "integer", "NO"),
    ("types", "jsonb", "NO"),
    ("redacted_types", "jsonb", "NO"),
    ("policy_version", "text", "NO"),
    ("reflex_request_id", "text", "NO"),
    ("cache_hit", "boolean", "NO"),
    ("duration_seconds", "double precision", "NO"),
    ("client_address", "text", "NO"),
    ("request_id", "text", "NO"),
    ("created_at", "timestamp with time zone", "NO"),
    ("subject_id", "uuid", "YES"),
    ("occasion", "text", "NO"),
    ("client_id", "uuid", "YES"),
]
# Whether a submission with the verdict becomes a task.
VERDICTS = [
    ("safe", True),
    ("flagged", True),
    ("unscreened", True),
    ("blocked", False),
    ("none", False),
]
SUBJECT = "6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e"


def sql(query: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def match(start: int | None, end: int | None, name: str = "Email") -> Match:
    return Match(Kind.PII, name, None, 0.9, start, end)


def match_of(quoted: str, name: str = "Email") -> Match:
    start = len(DOCUMENT.text[: DOCUMENT.text.index(quoted)].encode())
    return match(start, start + len(quoted.encode()), name)


def screening_of(*matches: Match, verdict: Verdict = Verdict.BLOCKED, **fields: Any) -> Screening:
    return Screening(DOCUMENT, verdict, findings=locate(matches, DOCUMENT), **fields)


def fields_of(*matches: Match, verdict: Verdict = Verdict.FLAGGED) -> list[str]:
    """Return the names of the fields that a receipt gives."""
    found = described(screening_of(*matches, verdict=verdict))
    return [place["field"] for finding in found for place in finding["places"]]


# What a receipt says


def test_a_receipt_says_all_of_a_screening() -> None:
    screening = screening_of(
        match_of("jane", "SSN"),
        blocked_for=frozenset({Kind.PII}),
        reflex_request_id="reflex-7",
        duration_seconds=0.25,
    )

    receipt_of(screening, policy_version="abc", origin=ORIGIN).save(force_insert=True)

    receipt = Receipt.objects.values().get()
    assert receipt.pop("id")
    assert receipt.pop("created_at")
    assert receipt == {
        "subject_id": None,
        "occasion": "submission",
        "verdict": "blocked",
        "reason": "",
        "findings": [
            {
                "kind": "pii",
                "type": "SSN",
                "severity": None,
                "confidence": 0.9,
                # Characters, not bytes.
                "places": [{"field": "goal", "start": 6, "end": 10, "is_key": False}],
                "places_count": 1,
            }
        ],
        "findings_count": 1,
        "types": ["SSN"],
        "redacted_types": [],
        "policy_version": "abc",
        "reflex_request_id": "reflex-7",
        "cache_hit": False,
        "duration_seconds": 0.25,
        "client_address": "192.0.2.7",
        "client_id": CLIENT,
        "request_id": "request-1",
    }


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_of_the_gate_has_its_receipt(verdict: Verdict) -> None:
    receipt_of(Screening(DOCUMENT, verdict), policy_version="", origin=ORIGIN).save()

    assert Receipt.objects.get().verdict == verdict.value


@pytest.mark.parametrize("severity", list(Severity))
def test_an_injection_has_its_severity_as_a_word(severity: Severity) -> None:
    finding = Finding(Kind.INJECTION, "DANVariant", severity)

    (told,) = described(Screening(DOCUMENT, Verdict.BLOCKED, findings=(finding,)))

    assert told == {
        "kind": "injection",
        "type": "DANVariant",
        "severity": severity.name.lower(),
        "confidence": None,
        "places": [],
        "places_count": 0,
    }


def test_types_are_named_once() -> None:
    screening = screening_of(match_of("jane", "SSN"), match_of("ask"), match_of("two"))

    receipt = receipt_of(screening, policy_version="", origin=ORIGIN)

    assert receipt.types == ["Email", "SSN"]


def test_what_was_redacted_is_named_by_type() -> None:
    screening = screening_of(match_of("jane", "SSN"), match_of("ask"))

    screening = replace(screening, verdict=Verdict.SAFE, redacted_types=("SSN",))

    assert receipt_of(screening, policy_version="", origin=ORIGIN).redacted_types == ["SSN"]


def test_of_thousands_of_findings_the_first_are_told_and_all_are_counted() -> None:
    matches = [match(0, 2, "SSN")] * MAX_FINDINGS + [match(0, 2, "Email")] * 4000

    receipt_of(screening_of(*matches), policy_version="", origin=ORIGIN).save()

    receipt = Receipt.objects.get()
    assert [finding["type"] for finding in receipt.findings] == ["SSN"] * MAX_FINDINGS
    assert (receipt.findings_count, receipt.types) == (MAX_FINDINGS + 4000, ["Email", "SSN"])


def test_of_thousands_of_places_the_first_are_told_and_all_are_counted() -> None:
    document = Document({"constraints": ["x"] * 4000})
    findings = locate([match(0, document.size_bytes)], document)

    (told,) = described(Screening(document, Verdict.BLOCKED, findings=findings))

    assert [place["field"] for place in told["places"]] == [
        f"constraints[{number}]" for number in range(MAX_PLACES_PER_FINDING)
    ]
    assert told["places_count"] == 4000


def test_the_largest_receipt_is_small() -> None:
    """The worst that a text can do: each finding lies in many pieces, deep below long names."""
    value: Any = ["x"] * 40_000
    for _ in range(20):
        value = {"a" * 32: value}
    document = Document({"context": value})
    size = document.size_bytes
    findings = locate([match(size - 4, size)] * 10_000, document)

    receipt = receipt_of(
        Screening(document, Verdict.BLOCKED, findings=findings), policy_version="", origin=ORIGIN
    )

    assert receipt.findings_count == 10_000
    assert len(json.dumps(receipt.findings)) < 250_000


def test_a_refusal_that_no_finding_explains_says_why() -> None:
    screening = Screening(DOCUMENT, Verdict.BLOCKED, reason="too many findings")

    receipt_of(screening, policy_version="", origin=ORIGIN).save()

    assert Receipt.objects.get().reason == "too many findings"


def test_without_a_verdict_a_receipt_says_why() -> None:
    error = NoVerdict("deadline exceeded")
    error.duration_seconds = 2.5

    receipt_without_verdict(error, policy_version="abc", origin=ORIGIN).save()

    receipt = Receipt.objects.get()
    assert (receipt.verdict, receipt.reason) == ("none", "deadline exceeded")
    assert (receipt.policy_version, receipt.duration_seconds) == ("abc", 2.5)
    assert (receipt.client_address, receipt.request_id) == ("192.0.2.7", "request-1")
    assert (receipt.findings, receipt.findings_count, receipt.types) == ([], 0, [])


def test_receipts_are_found_by_the_type_of_a_finding() -> None:
    for quoted, name in (("jane", "SSN"), ("ask", "Email"), ("two", "Email")):
        receipt_of(screening_of(match_of(quoted, name)), policy_version="", origin=ORIGIN).save()
    receipt_without_verdict(NoVerdict("rate limited"), policy_version="", origin=ORIGIN).save()

    assert Receipt.objects.with_finding_of_type("Email").count() == 2
    assert Receipt.objects.with_finding_of_type("Emai").count() == 0


# The names of fields


@pytest.mark.parametrize(
    ("quoted", "fields"),
    [
        ("é ask", ["goal"]),
        ("jane two", ["constraints[1]"]),
        ("jane\none\njane", ["goal", "constraints[0]", "constraints[1]"]),
        # A key in which something was found may be the secret itself.
        ("jane: ", ["context.*"]),
        ("note: jane", ["context.jane.*", "context.jane.*"]),
        ("jane@b", ["context.user.*"]),
        # Nor is one that is no plain name, though nothing was found in it.
        ("4111", ["context.user.*"]),
        ("user", ["context.*"]),
    ],
)
def test_a_finding_is_told_by_its_fields(quoted: str, fields: list[str]) -> None:
    assert fields_of(match_of(quoted)) == fields


@pytest.mark.parametrize(
    ("quoted", "fields"),
    [
        ("jane two", ["constraints[1]"]),
        ("note: jane", ["context.*.*", "context.*.*"]),
        ("jane@b", ["context.*.*"]),
    ],
)
def test_refusal_names_no_key(quoted: str, fields: list[str]) -> None:
    assert fields_of(match_of(quoted), verdict=Verdict.BLOCKED) == fields


def test_a_key_with_a_finding_is_hidden_in_the_places_of_the_others() -> None:
    key, value = match_of("jane: "), match_of("note: jane")

    assert fields_of(value, key) == ["context.*.*", "context.*.*", "context.*"]


def test_a_key_is_told_from_its_value() -> None:
    (told,) = described(screening_of(match_of("user: ")))

    assert told["places"] == [{"field": "context.*", "start": 0, "end": 4, "is_key": True}]


def test_a_key_is_hidden_even_by_a_finding_that_is_not_told() -> None:
    in_key, in_value = match_of("user"), match_of("4111")
    matches = [in_value] * MAX_FINDINGS + [in_key]

    receipt = receipt_of(screening_of(*matches), policy_version="", origin=ORIGIN)

    assert {place["field"] for told in receipt.findings for place in told["places"]} == {
        "context.*.*"
    }


def test_a_receipt_holds_no_text_whatever_was_found() -> None:
    document = Document(
        {
            "goal": "PLANTED",
            "constraints": ["PLANTED"],
            "context": {"PLANTED": ["PLANTED", {"PLANTED1": 738291645}]},
        }
    )
    everything = [
        match(start, end) for start in range(document.size_bytes) for end in (start + 1, start + 30)
    ]
    screening = Screening(document, Verdict.BLOCKED, findings=locate(everything, document))

    receipt_of(screening, policy_version="abc", origin=ORIGIN).save()

    stored = json.dumps(sql("SELECT to_jsonb(receipts) FROM receipts"))
    assert "PLANTED" not in stored
    assert "738291645" not in stored
    assert "PLANTED" not in json.dumps(described(screening))


# What the database holds


def test_the_columns_of_receipts() -> None:
    columns = sql(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_name = 'receipts' AND table_schema = 'public' ORDER BY ordinal_position"
    )

    assert columns == COLUMNS


def test_a_plain_insert_gets_its_defaults() -> None:
    sql("INSERT INTO receipts (verdict) VALUES ('safe') RETURNING id")

    receipt = Receipt.objects.get()
    assert (receipt.reason, receipt.findings, receipt.types) == ("", [], [])
    assert (receipt.findings_count, receipt.cache_hit, receipt.duration_seconds) == (0, False, 0)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("receipts_verdict_known", {"verdict": "fine"}),
        ("receipts_verdict_known", {"verdict": ""}),
        ("receipts_reason_known", {"verdict": "none"}),
        ("receipts_reason_known", {"verdict": "safe", "reason": "rate limited"}),
        ("receipts_occasion_known", {"verdict": "safe", "occasion": "lunch"}),
        ("receipts_subject_known", {"verdict": "blocked", "subject_id": SUBJECT}),
        (
            "receipts_subject_known",
            {"verdict": "none", "reason": "rate limited", "subject_id": SUBJECT},
        ),
    ],
)
def test_the_database_refuses(constraint: str, fields: dict[str, str]) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        Receipt.objects.create(**fields)


def test_a_submission_has_one_receipt() -> None:
    Receipt.objects.create(verdict="safe", subject_id=SUBJECT)
    with pytest.raises(IntegrityError, match="receipts_one_submission_each"):
        Receipt.objects.create(verdict="flagged", subject_id=SUBJECT)


@pytest.mark.parametrize(("verdict", "is_accepted"), VERDICTS)
def test_the_version_before_leaves_receipts_with_their_subject(
    verdict: str, is_accepted: bool
) -> None:
    """It knows no subject, and gives the receipt of an accepted submission the id of its task."""
    sql(
        "INSERT INTO receipts (id, verdict, reason) VALUES (%s, %s, %s) RETURNING id",
        SUBJECT,
        verdict,
        "rate limited" if verdict == "none" else "",
    )

    receipt = Receipt.objects.get()
    assert receipt.occasion == "submission"
    assert (receipt.subject_id == receipt.pk) is is_accepted
    assert (receipt.subject_id is None) is not is_accepted


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "receipts_one_submission_each",
            "btree (subject_id) WHERE ((occasion = 'submission'::text) AND "
            "(subject_id IS NOT NULL))",
        ),
        ("idx_receipts_created_at", "btree (created_at) INCLUDE (verdict, occasion)"),
        (
            "idx_receipts_found",
            "btree (created_at) INCLUDE (types, occasion) WHERE (NOT (types = '[]'::jsonb))",
        ),
        ("idx_receipts_answers", "btree (created_at) WHERE (occasion = 'answer'::text)"),
        (
            "idx_receipts_answers_of",
            "btree (subject_id, created_at) WHERE (occasion = 'answer'::text)",
        ),
        ("idx_receipts_verdict", "btree (verdict, created_at)"),
        ("idx_receipts_request_id", "btree (request_id, created_at)"),
        ("idx_receipts_types", "gin (types jsonb_path_ops)"),
    ],
)
def test_the_indexes_of_receipts(name: str, columns: str) -> None:
    [(definition,)] = sql("SELECT indexdef FROM pg_indexes WHERE indexname = %s", name)

    assert definition.endswith(f"ON public.receipts USING {columns}")
