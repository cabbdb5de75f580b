"""Our rules that turn what was found into a verdict."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from safety.findings import Finding, Kind, Severity


class Verdict(StrEnum):
    SAFE = "safe"
    FLAGGED = "flagged"
    BLOCKED = "blocked"
    # Nobody was asked: the integration is switched off.
    UNSCREENED = "unscreened"


class PiiAction(StrEnum):
    BLOCK = "block"
    REDACT = "redact"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        blocked_for: the kinds of finding that block; empty where nothing does, or where the
            Reflex Layer blocks and names no finding.
        to_redact: what has to be replaced before the task may be stored.
    """

    verdict: Verdict
    blocked_for: frozenset[Kind] = frozenset()
    to_redact: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Policy:
    """What findings do.

    Attributes:
        pii: what personal data does: block, be replaced, or pass.
        pii_by_type: the same for single types, by their names in the protocol.
        injection_blocks_from: the severity from which an injection blocks.
        injection_flags_from: the severity from which one that does not block is shown to
            staff.
        ignored_types: types of either kind that count for nothing.
    """

    pii: PiiAction = PiiAction.BLOCK
    pii_by_type: Mapping[str, PiiAction] = field(default_factory=dict)
    injection_blocks_from: Severity = Severity.HIGH
    injection_flags_from: Severity = Severity.LOW
    ignored_types: frozenset[str] = frozenset()

    @property
    def version(self) -> str:
        """A short hash of the rules: the same rules have the same version everywhere."""
        rules = asdict(self) | {"ignored_types": sorted(self.ignored_types)}
        text = json.dumps(rules, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def judge(self, findings: tuple[Finding, ...], *, reflex_layer_blocks: bool) -> Judgement:
        """Return the verdict; a Reflex Layer that blocks is believed."""
        counted = [f for f in findings if f.type not in self.ignored_types]
        blocking = frozenset(f.kind for f in counted if self.blocks(f))
        if reflex_layer_blocks:
            return Judgement(Verdict.BLOCKED, blocking or frozenset(f.kind for f in findings))
        if blocking:
            return Judgement(Verdict.BLOCKED, blocking)
        return Judgement(
            Verdict.FLAGGED if any(map(self._flags, counted)) else Verdict.SAFE,
            to_redact=tuple(f for f in counted if self._pii_action(f) is PiiAction.REDACT),
        )

    def blocks(self, finding: Finding) -> bool:
        """Return whether `finding` by itself blocks a text."""
        if finding.type in self.ignored_types:
            return False
        if finding.severity is not None:
            return finding.severity >= self.injection_blocks_from
        match self._pii_action(finding):
            case PiiAction.BLOCK:
                return True
            case PiiAction.REDACT:
                # What cannot be replaced with certainty is not let through.
                return not finding.is_replaceable
        return False

    def _flags(self, finding: Finding) -> bool:
        return finding.severity is not None and finding.severity >= self.injection_flags_from

    def _pii_action(self, finding: Finding) -> PiiAction | None:
        if finding.kind is not Kind.PII:
            return None
        return self.pii_by_type.get(finding.type, self.pii)
