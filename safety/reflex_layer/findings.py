"""What a detector found, and the fair choice of which findings go into an answer."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .folding import Folded

# An answer stays far below what a careful client is ready to read, whatever the text. The
# limit is per type, so that many harmless findings cannot push out the one that matters.
MOST_FINDINGS_PER_TYPE = 20
LONGEST_MATCH_CHARACTERS = 200


class Severity(IntEnum):
    """How bad an injection is; the names are the protocol's words."""

    Low = 1
    Medium = 2
    High = 3
    Critical = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One match in the folded text; PII has no severity."""

    type: str
    start: int
    end: int
    confidence: float
    severity: Severity | None = None
    indicator: str = ""

    def rank(self) -> tuple[float, float, int]:
        """Order the worst and surest finding first."""
        return -(self.severity or 0), -self.confidence, self.start

    def overlaps(self, other: "Finding") -> bool:
        return self.start < other.end and other.start < self.end


def chosen(findings: Iterable[Finding]) -> list[Finding]:
    """Keep the worst findings of each type, none inside another, in the order of the text."""
    by_type: dict[str, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=Finding.rank):
        group = by_type[finding.type]
        if len(group) < MOST_FINDINGS_PER_TYPE and not any(map(finding.overlaps, group)):
            group.append(finding)
    kept = [finding for group in by_type.values() for finding in group]
    return sorted(kept, key=lambda finding: (finding.start, finding.end))


def on_the_wire(finding: Finding, folded: Folded) -> dict[str, Any]:
    """Return a finding as the protocol sends it, with byte offsets into the original."""
    start, end = folded.span(finding.start, finding.end)
    end = min(end, start + LONGEST_MATCH_CHARACTERS)
    where = {
        "start": folded.byte_offsets[start],
        "end": folded.byte_offsets[end],
        "matched_text": folded.original[start:end],
        "confidence": finding.confidence,
    }
    if finding.severity is None:
        return {"pii_type": finding.type, **where}
    return {
        "injection_type": finding.type,
        **where,
        "severity": finding.severity.name,
        "indicators": [finding.indicator],
    }
