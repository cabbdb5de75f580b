"""A receipt in one sentence: its verdict, the findings with their fields, and their effect."""

from collections.abc import Sequence
from typing import Any, Final

from django.utils.html import format_html

from safety.findings import Finding, Kind, Severity
from safety.gate import Gate, answer_gate, gate
from safety.models import Occasion, Receipt, ReceiptVerdict

MAX_NAMED: Final = 3
# Some people cannot tell colours apart, so each verdict has a sign too.
SIGNS: Final = {
    ReceiptVerdict.SAFE: "✓",
    ReceiptVerdict.FLAGGED: "⚑",
    ReceiptVerdict.BLOCKED: "✕",
    ReceiptVerdict.UNSCREENED: "?",
    ReceiptVerdict.NONE: "∅",
}
WORDS: Final = {
    ReceiptVerdict.SAFE: "safe",
    ReceiptVerdict.FLAGGED: "flagged",
    ReceiptVerdict.BLOCKED: "blocked",
    ReceiptVerdict.UNSCREENED: "unscreened",
    ReceiptVerdict.NONE: "no verdict",
}


def sentence(receipt: Receipt, findings: Sequence[dict[str, Any]]) -> str:
    """Return the verdict as a label, followed by the reason for it.

    Args:
        findings: all findings of the receipt, or only its first ones.
    """
    verdict = ReceiptVerdict(receipt.verdict)
    why = _why(receipt, findings)
    return format_html(
        '<span class="label label-{}"><span aria-hidden="true">{}</span> {}</span>{}',
        verdict.value,
        SIGNS[verdict],
        WORDS[verdict],
        f": {why}" if why else "",
    )


def _why(receipt: Receipt, findings: Sequence[dict[str, Any]]) -> str:
    if receipt.reason or not findings:
        return receipt.reason or ("by the Reflex Layer" if receipt.verdict == "blocked" else "")
    if receipt.verdict == ReceiptVerdict.BLOCKED:
        return _why_blocked(receipt, findings)
    words = _named(findings, receipt.findings_count)
    if receipt.redacted_types:
        return f"{words}; redacted: {', '.join(receipt.redacted_types)}"
    return words


def _why_blocked(receipt: Receipt, findings: Sequence[dict[str, Any]]) -> str:
    the_gate = answer_gate() if receipt.occasion == Occasion.ANSWER else gate()
    if receipt.policy_version != the_gate.policy_version:
        # Only the old policy could tell which of the findings blocked.
        return f"{_named(findings, receipt.findings_count)}, by the policy at that time"
    blocking = [finding for finding in findings if _blocks(finding, the_gate)]
    if blocking:
        # Findings that are missing here may block too, so the number of further ones is unknown.
        return f"{_named(blocking, len(blocking))}, which the policy blocks"
    return _named(findings, receipt.findings_count)


def _blocks(finding: dict[str, Any], the_gate: Gate) -> bool:
    severity = finding["severity"] and Severity[finding["severity"].upper()]
    # A receipt does not say whether its findings could be replaced.
    return the_gate.blocks(
        Finding(Kind(finding["kind"]), finding["type"], severity, is_replaceable=True)
    )


def _named(findings: Sequence[dict[str, Any]], count: int) -> str:
    """Return the first distinct findings, such as `SSN in goal`, and how many more there are."""
    named = list(dict.fromkeys(map(_name, findings)))
    words = ", ".join(named[:MAX_NAMED])
    more = count - sum(_name(finding) in named[:MAX_NAMED] for finding in findings)
    return f"{words} and {more} more" if more > 0 else words


def _name(finding: dict[str, Any]) -> str:
    if not finding["places"]:
        return str(finding["type"])
    place = finding["places"][0]
    return f"{finding['type']} in {'key ' if place['is_key'] else ''}{place['field']}"
