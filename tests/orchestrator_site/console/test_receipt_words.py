"""The sentence about a receipt."""

from typing import Any

import pytest
from django.utils.html import strip_tags

from orchestrator_site.console.receipt_words import sentence
from safety.gate import answer_gate, gate
from safety.models import Receipt


def found(name: str, *fields: str, severity: str | None = None) -> dict[str, Any]:
    places = [
        {"field": field, "start": 0, "end": 3, "is_key": field.endswith("*")} for field in fields
    ]
    kind = "injection" if severity else "pii"
    return {"kind": kind, "type": name, "severity": severity, "confidence": 0.9, "places": places}


SSN, EMAIL = found("SSN", "goal"), found("Email", "constraints[1]", "goal")
LINK = found("DataExfiltration", "goal", severity="low")
JAILBREAK = found("DANVariant", "context.*", severity="critical")


@pytest.mark.parametrize(
    ("verdict", "findings", "said"),
    [
        ("safe", [], "✓ safe"),
        ("unscreened", [], "? unscreened"),
        ("flagged", [LINK], "⚑ flagged: DataExfiltration in goal"),
        ("blocked", [], "✕ blocked: by the Reflex Layer"),
        ("blocked", [SSN], "✕ blocked: SSN in goal, which the policy blocks"),
        # The policy would not block the link alone.
        ("blocked", [LINK, SSN], "✕ blocked: SSN in goal, which the policy blocks"),
        ("blocked", [LINK], "✕ blocked: DataExfiltration in goal"),
        (
            "blocked",
            [SSN, EMAIL, EMAIL, JAILBREAK],
            "✕ blocked: SSN in goal, Email in constraints[1], DANVariant in key context.*, "
            "which the policy blocks",
        ),
        (
            "blocked",
            [SSN, *(found("IPv4", f"constraints[{index}]") for index in range(5))],
            "✕ blocked: SSN in goal, IPv4 in constraints[0], IPv4 in constraints[1] and 3 more, "
            "which the policy blocks",
        ),
        ("blocked", [found("Phone")], "✕ blocked: Phone, which the policy blocks"),
    ],
)
def test_sentence_says_the_verdict_and_why(
    verdict: str, findings: list[dict[str, Any]], said: str
) -> None:
    receipt = Receipt(
        verdict=verdict, findings_count=len(findings), policy_version=gate().policy_version
    )
    assert strip_tags(sentence(receipt, findings)) == said


def test_reason_wins_over_findings() -> None:
    for verdict, said in (("none", "∅ no verdict"), ("blocked", "✕ blocked")):
        receipt = Receipt(verdict=verdict, reason="too many findings", findings_count=1)
        assert strip_tags(sentence(receipt, [SSN])) == f"{said}: too many findings"


def test_blocking_findings_are_not_guessed_for_another_policy() -> None:
    receipt = Receipt(verdict="blocked", findings_count=2, policy_version="of before")
    assert strip_tags(sentence(receipt, [LINK, SSN])) == (
        "✕ blocked: DataExfiltration in goal, SSN in goal, by the policy at that time"
    )


@pytest.mark.parametrize(
    ("occasion", "said"),
    [
        ("submission", "✕ blocked: SSN in goal, which the policy blocks"),
        # By default, personal data of answers are redacted.
        ("answer", "✕ blocked: DANVariant in key context.*, which the policy blocks"),
    ],
)
def test_the_policy_is_that_of_the_occasion(occasion: str, said: str) -> None:
    version = {"submission": gate(), "answer": answer_gate()}[occasion].policy_version
    of_other = {"submission": answer_gate(), "answer": gate()}[occasion].policy_version
    findings = [SSN] if occasion == "submission" else [SSN, JAILBREAK]
    receipt = Receipt(
        verdict="blocked",
        occasion=occasion,
        findings_count=len(findings),
        policy_version=version,
    )
    assert strip_tags(sentence(receipt, findings)) == said
    receipt.policy_version = of_other
    assert strip_tags(sentence(receipt, findings)).endswith(", by the policy at that time")


def test_redacted_types_are_named() -> None:
    receipt = Receipt(verdict="safe", findings_count=12, redacted_types=["SSN"])
    assert strip_tags(sentence(receipt, [SSN])) == "✓ safe: SSN in goal and 11 more; redacted: SSN"
