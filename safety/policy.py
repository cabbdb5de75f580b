"""Our rules that turn what was found into a verdict."""

from dataclasses import dataclass
from enum import StrEnum

from safety.findings import Answer, Finding, Kind, Severity


class Verdict(StrEnum):
    SAFE = "safe"
    FLAGGED = "flagged"
    BLOCKED = "blocked"
    # Nobody was asked: the integration is switched off.
    UNSCREENED = "unscreened"


class PiiAction(StrEnum):
    BLOCK = "block"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and, if it is blocked, the kinds of finding that made it so.

    `blocked_for` is empty where the Reflex Layer blocks and names no finding.
    """

    verdict: Verdict
    blocked_for: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """What findings do.

    Attributes:
        pii: what personal data does.
        injection_blocks_from: the severity from which an injection blocks; below it,
            the task is accepted and flagged for staff.
    """

    pii: PiiAction = PiiAction.BLOCK
    injection_blocks_from: Severity = Severity.HIGH

    def judge(self, answer: Answer) -> Judgement:
        """Return the verdict on `answer`; a Reflex Layer that blocks is believed."""
        blocking = frozenset(f.kind for f in answer.findings if self._blocks(f))
        if answer.blocked:
            return Judgement(Verdict.BLOCKED, blocking or _kinds(answer.findings))
        if blocking:
            return Judgement(Verdict.BLOCKED, blocking)
        return Judgement(Verdict.FLAGGED if answer.findings else Verdict.SAFE)

    def _blocks(self, finding: Finding) -> bool:
        if finding.severity is None:
            return self.pii is PiiAction.BLOCK
        return finding.severity >= self.injection_blocks_from


def _kinds(findings: tuple[Finding, ...]) -> frozenset[Kind]:
    return frozenset(finding.kind for finding in findings)
