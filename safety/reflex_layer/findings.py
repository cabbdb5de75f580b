"""The findings of the detectors, and how they are merged for an answer."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import Any, NamedTuple

from .matching.folding import Folded

# Keeps answers small enough for clients that limit what they read. The limit is per type, so
# that many harmless findings cannot crowd out an important one.
MOST_FINDINGS_PER_TYPE = 100


class Severity(IntEnum):
    """The severity of an injection, with the protocol's names."""

    Low = 1
    Medium = 2
    High = 3
    Critical = 4


class Finding(NamedTuple):
    """One match in the folded text; PII has no severity."""

    type: str
    start: int
    end: int
    confidence: float
    severity: Severity | None = None
    indicator: str = ""

    def rank(self) -> tuple[float, float, int]:
        """Return a sort key that puts the worst and most certain finding first."""
        return -(self.severity or 0), -self.confidence, self.start

    def joined(self, other: "Finding") -> "Finding":
        """Return the worse of the two findings, extended to span both."""
        worse = min(self, other, key=Finding.rank)
        return worse._replace(start=min(self.start, other.start), end=max(self.end, other.end))


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Merge findings into a limited number of each type, in the order of the text.

    A client may replace the text of a finding, so the result covers every finding completely.
    """
    by_type: dict[str, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=attrgetter("start")):
        group = by_type[finding.type]
        if group and finding.start < group[-1].end:
            group[-1] = group[-1].joined(finding)
        else:
            group.append(finding)
    kept = [finding for group in by_type.values() for finding in _limited(group)]
    return sorted(kept, key=attrgetter("start", "end"))


def _limited(group: list[Finding]) -> list[Finding]:
    """Keep the worst findings as they are, and join the others into one that spans them all."""
    if len(group) <= MOST_FINDINGS_PER_TYPE:
        return group
    ranked = sorted(group, key=Finding.rank)
    worst, others = ranked[: MOST_FINDINGS_PER_TYPE - 1], ranked[MOST_FINDINGS_PER_TYPE - 1 :]
    start, end = min(one.start for one in others), max(one.end for one in others)
    return [*worst, others[0]._replace(start=start, end=end)]


def on_the_wire(findings: Sequence[Finding], folded: Folded) -> list[dict[str, Any]]:
    """Return findings in the protocol's format, with byte offsets into the original."""
    spans = [folded.span(finding.start, finding.end) for finding in findings]
    byte_offsets = folded.byte_offsets(index for span in spans for index in span)
    return [
        _as_match(finding)
        | {
            "start": byte_offsets[start],
            "end": byte_offsets[end],
            "matched_text": folded.original[start:end],
        }
        for finding, (start, end) in zip(findings, spans, strict=True)
    ]


def _as_match(finding: Finding) -> dict[str, Any]:
    if finding.severity is None:
        return {"pii_type": finding.type, "confidence": finding.confidence}
    return {
        "injection_type": finding.type,
        "confidence": finding.confidence,
        "severity": finding.severity.name,
        "indicators": [finding.indicator],
    }
