"""Receipts of demonstration tasks, of flagged answers, and of submissions that were refused."""

from datetime import datetime
from math import log
from random import Random
from typing import Any, Final

from safety.findings import Finding, Kind, Severity
from safety.models import Occasion, Receipt, ReceiptVerdict
from safety.policy import Policy
from tasks.models import Step, Task

POLICY_VERSION: Final = Policy().version
# What is found in refused submissions, each as often as it stands here.
PII: Final = [
    Finding(Kind.PII, name, confidence=0.95)
    for name in "Email Email Email Phone Phone CreditCard IPv4 ApiKey SSN BankAccount".split()
]
ATTACKS: Final = (
    Finding(Kind.INJECTION, "IgnorePreviousInstructions", Severity.CRITICAL, 0.97),
    Finding(Kind.INJECTION, "DirectPromptExtraction", Severity.HIGH, 0.88),
)
# In tasks: below the severity that blocks.
SUSPICIONS: Final = (
    Finding(Kind.INJECTION, "DataExfiltration", Severity.LOW, 0.62),
    Finding(Kind.INJECTION, "RolePlayingJailbreak", Severity.MEDIUM, 0.71),
)
# Reasons why there is no verdict, and the seconds until it is clear that there is none.
NO_VERDICT: Final = (("deadline exceeded", 2.0), ("server error", 0.03), ("rate limited", 0.005))
# Of all tasks; those with a script in their goal come on top.
FLAGGED: Final = 0.02
FIELDS: Final = ("goal", "context.note", "constraints[0]", "context.ticket.text")
# No text of a refused submission is stored, so nobody knows how long it was.
CHARACTERS: Final = 60

# The ranges for documents (RFC 5737, RFC 3849), which belong to nobody: `holds_other_tasks`
# recognises demonstration tasks by them.
DOCUMENTATION_ADDRESS: Final = r"^(192\.0\.2|198\.51\.100|203\.0\.113|2001:db8)[.:]"
ADDRESSES: Final = "192.0.2.10 198.51.100.7 198.51.100.88 203.0.113.5 2001:db8::1f".split()


def of_task(task: Task, random: Random) -> Receipt:
    """Return the receipt of `task`, not stored yet."""
    findings = []
    if random.random() < FLAGGED or "<script" in task.goal:
        findings = [_placed(random.choice(SUSPICIONS), "goal", len(task.goal), random)]
    verdict = ReceiptVerdict.FLAGGED if findings else ReceiptVerdict.SAFE
    receipt = _receipt(task.created_at, verdict, findings, random)
    receipt.subject_id = task.pk
    return receipt


def of_answer(step: Step, at: datetime, random: Random) -> Receipt:
    """Return the receipt of a flagged answer, not stored yet."""
    findings = [_placed(SUSPICIONS[0], "result.quotes[1]", CHARACTERS, random)]
    receipt = _receipt(at, ReceiptVerdict.FLAGGED, findings, random)
    receipt.occasion, receipt.subject_id = Occasion.ANSWER, step.task_id
    # Workers have no address, and the step is their request.
    receipt.client_address = ""
    receipt.request_id = receipt.reflex_request_id = str(step.pk)
    return receipt


def of_refusal(at: datetime, random: Random) -> Receipt:
    """Return the receipt of a submission that became no task, not stored yet."""
    cause = random.random()
    if cause < 0.04:
        receipt = _receipt(at, ReceiptVerdict.NONE, [], random)
        receipt.reason, receipt.duration_seconds = random.choice(NO_VERDICT)
        receipt.reflex_request_id = ""
        return receipt
    field = random.choice(FIELDS)
    found = random.choices(PII, k=random.choice((1, 1, 1, 2, 3)))
    if cause > 0.7:
        found = [random.choice(ATTACKS)]
    findings = [_placed(finding, field, CHARACTERS, random) for finding in found]
    return _receipt(at, ReceiptVerdict.BLOCKED, findings, random)


def _receipt(
    at: datetime, verdict: ReceiptVerdict, findings: list[dict[str, Any]], random: Random
) -> Receipt:
    request_id = f"{random.getrandbits(128):032x}"
    return Receipt(
        verdict=verdict,
        findings=findings,
        findings_count=len(findings),
        types=sorted({finding["type"] for finding in findings}),
        policy_version=POLICY_VERSION,
        # The Reflex Layer takes over the id that it is sent.
        reflex_request_id=request_id,
        duration_seconds=round(random.lognormvariate(log(0.012), 0.4), 6),
        client_address=random.choice(ADDRESSES),
        request_id=request_id,
        created_at=at,
    )


def _placed(finding: Finding, field: str, characters: int, random: Random) -> dict[str, Any]:
    """Return it as receipts hold it, at a place in a field of so many characters."""
    start = random.randrange(characters // 2)
    end = random.randrange(start + 4, characters)
    place = {"field": field, "start": start, "end": end, "is_key": False}
    return finding.as_dict() | {"places": [place], "places_count": 1}
