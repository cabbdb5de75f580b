"""The rules that turn findings into a verdict."""

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
    # The integration is switched off, so the Reflex Layer was not called.
    UNSCREENED = "unscreened"


class PiiAction(StrEnum):
    BLOCK = "block"
    REDACT = "redact"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons and consequences.

    Attributes:
        blocked_for: the kinds of finding that block; empty if nothing blocks, or if the Reflex
            Layer blocks without naming a finding.
        to_redact: the findings to replace before the task may be stored.
    """

    verdict: Verdict
    blocked_for: frozenset[Kind] = frozenset()
    to_redact: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Policy:
    """The action for each kind of finding.

    Attributes:
        pii: the action for personal data.
        pii_by_type: the actions for single types of PII, by their names in the protocol.
        injection_blocks_from: the lowest severity at which an injection blocks.
        injection_flags_from: the lowest severity at which an injection that does not block is
            flagged for staff.
        ignored_types: the types of either kind that are ignored.
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
        """Return the judgement. If the Reflex Layer itself blocks, the verdict is `BLOCKED`."""
        counted = [f for f in findings if f.type not in self.ignored_types]
        blocking = frozenset(f.kind for f in findings if self.blocks(f))
        if reflex_layer_blocks:
            return Judgement(Verdict.BLOCKED, blocking or frozenset(f.kind for f in findings))
        if blocking:
            return Judgement(Verdict.BLOCKED, blocking)
        return Judgement(
            Verdict.FLAGGED if any(map(self._flags, counted)) else Verdict.SAFE,
            to_redact=tuple(f for f in counted if self._pii_action(f) is PiiAction.REDACT),
        )

    def blocks(self, finding: Finding) -> bool:
        """Return whether `finding` alone blocks a text."""
        if finding.type in self.ignored_types:
            return False
        if finding.severity is not None:
            return finding.severity >= self.injection_blocks_from
        match self._pii_action(finding):
            case PiiAction.BLOCK:
                return True
            case PiiAction.REDACT:
                # A finding that cannot be replaced with certainty must not pass.
                return not finding.is_replaceable
        return False

    def _flags(self, finding: Finding) -> bool:
        return finding.severity is not None and finding.severity >= self.injection_flags_from

    def _pii_action(self, finding: Finding) -> PiiAction | None:
        if finding.kind is not Kind.PII:
            return None
        return self.pii_by_type.get(finding.type, self.pii)
