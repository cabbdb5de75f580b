"""Receipts of demonstration tasks, and of submissions that the gate did not let through."""

from datetime import datetime
from math import log
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

from orchestrator_site.development.demo.rows import ReceiptRow
from safety.findings import Finding, Kind, Severity
from safety.models import ReceiptVerdict
from safety.policy import Policy

POLICY_VERSION: Final = Policy().version

# The refusals of people who meant no harm, and of a few who did; as often as they stand here.
PII: Final = "Email Email Email Phone Phone CreditCard IPv4 IPv4 ApiKey SSN BankAccount".split()
ATTACKS: Final = (
    ("IgnorePreviousInstructions", Severity.CRITICAL),
    ("IgnorePreviousInstructions", Severity.HIGH),
    ("DirectPromptExtraction", Severity.HIGH),
    ("DANVariant", Severity.CRITICAL),
    ("SystemRoleManipulation", Severity.HIGH),
)
# Below the severity that blocks.
SUSPICIONS: Final = (
    ("DataExfiltration", Severity.LOW),
    ("DataExfiltration", Severity.LOW),
    ("RolePlayingJailbreak", Severity.MEDIUM),
    ("DelimiterInjection", Severity.MEDIUM),
    ("EncodedInstruction", Severity.LOW),
)
# Why there is no verdict, in the words of `safety`, and the seconds that it takes to learn it.
NO_VERDICT: Final = (
    ("deadline exceeded", 2.0),
    ("deadline exceeded", 2.0),
    ("connection failed", 0.002),
    ("server error", 0.03),
    ("rate limited", 0.005),
)
# Of all tasks; those with a script in them come on top.
FLAGGED: Final = 0.04
# How long a refused field was is written nowhere.
CHARACTERS: Final = 60
FIELDS: Final = ("goal", "context.note", "constraints[0]", "context.ticket.text")

# How addresses begin that are for documents, and belong to nobody (RFC 5737, RFC 3849).
DOCUMENTATION_ADDRESSES: Final = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
# Of clients, in these ranges: `holds_other_tasks` knows our tasks by them.
ADDRESSES: Final = (
    *(f"192.0.2.{number}" for number in (10, 11, 12)),
    *(f"198.51.100.{number}" for number in (7, 23, 24, 88)),
    "203.0.113.5",
    "2001:db8::1f",
    "2001:db8:7::22",
)
# Most clients leave the request id to us.
CLIENTS: Final = ("", "", "", "", "erp", "shop")


def accepted(random: Random, task_id: UUID, at: datetime, goal: str) -> ReceiptRow:
    """Return the receipt of a task."""
    if random.random() < FLAGGED or "<script" in goal:
        finding = _injection(random, *random.choice(SUSPICIONS), "goal", len(goal))
        return _receipt(random, task_id, at, ReceiptVerdict.FLAGGED, findings=[finding])
    return _receipt(random, task_id, at, ReceiptVerdict.SAFE)


def refused(random: Random, at: datetime) -> ReceiptRow:
    """Return the receipt of a submission that became no task."""
    cause = random.random()
    if cause < 0.04:
        reason, seconds = random.choice(NO_VERDICT)
        seconds *= random.uniform(1, 1.02)
        return _receipt(random, None, at, ReceiptVerdict.NONE, reason=reason, seconds=seconds)
    field = random.choice(FIELDS)
    if cause < 0.7:
        findings = [_pii(random, field) for _ in range(random.choice((1, 1, 1, 2, 3)))]
    else:
        findings = [_injection(random, *random.choice(ATTACKS), field)]
    return _receipt(random, None, at, ReceiptVerdict.BLOCKED, findings=findings)


def _receipt(
    random: Random,
    task_id: UUID | None,
    at: datetime,
    verdict: ReceiptVerdict,
    *,
    reason: str = "",
    findings: list[dict[str, Any]] | None = None,
    seconds: float | None = None,
) -> ReceiptRow:
    findings = findings or []
    request_id = f"{random.getrandbits(128):032x}"
    if client := random.choice(CLIENTS):
        request_id = f"{client}-{at:%Y%m%d}-{request_id[:8]}"
    is_answered = verdict is not ReceiptVerdict.NONE
    if seconds is None:
        seconds = random.lognormvariate(log(0.012), 0.4)
    return ReceiptRow(
        id=uuid4(),
        subject_id=task_id,
        verdict=verdict.value,
        reason=reason,
        findings=findings,
        findings_count=len(findings),
        types=sorted({finding["type"] for finding in findings}),
        policy_version=POLICY_VERSION,
        # It takes ours.
        reflex_request_id=request_id if is_answered else "",
        duration_seconds=round(seconds, 6),
        client_address=random.choice(ADDRESSES),
        request_id=request_id,
        created_at=at,
    )


def _pii(random: Random, field: str) -> dict[str, Any]:
    confidence = round(random.uniform(0.7, 1), 2)
    return _placed(random, Finding(Kind.PII, random.choice(PII), confidence=confidence), field)


def _injection(
    random: Random, name: str, severity: Severity, field: str, characters: int = CHARACTERS
) -> dict[str, Any]:
    confidence = round(random.uniform(0.55, 0.98), 2)
    finding = Finding(Kind.INJECTION, name, severity, confidence)
    return _placed(random, finding, field, characters)


def _placed(
    random: Random, finding: Finding, field: str, characters: int = CHARACTERS
) -> dict[str, Any]:
    """Return it as receipts hold it, with a place in a field of so many characters."""
    start = random.randrange(characters // 2)
    end = random.randrange(start + 4, characters)
    place = {"field": field, "start": start, "end": end, "is_key": False}
    return {**finding.as_dict(), "places": [place], "places_count": 1}
