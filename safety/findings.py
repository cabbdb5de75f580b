"""The findings of a screening. They never hold any of the screened text."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from safety.document import MAX_PLACES, Document, Place


class Kind(StrEnum):
    PII = "pii"
    INJECTION = "injection"


class Severity(IntEnum):
    """The severity of an injection; ordered, so that a policy can set a minimum."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


PII_TYPES = frozenset(
    """SSN CreditCard Email Phone IPv4 IPv6 ApiKey BitcoinAddress EthereumAddress MacAddress
    DriversLicense Passport MedicalRecordNumber BankAccount RoutingNumber ITIN
    DateOfBirth""".split()
)
INJECTION_TYPES = frozenset(
    """IgnorePreviousInstructions NewInstructionInjection SystemRoleManipulation
    DirectPromptExtraction IndirectPromptExtraction RolePlayingJailbreak DANVariant
    DelimiterInjection NestedPrompt EncodedInstruction CommandInjection TemplateInjection
    DataExfiltration MemoryStateAccess""".split()
)
# Replaces every type that the protocol does not list. The peer's own name for such a type may
# contain any text, so it is dropped.
CUSTOM_TYPE = "Custom"


@dataclass(frozen=True, slots=True)
class Match:
    """One finding as the Reflex Layer reports it.

    Attributes:
        type: a name from the protocol's list, or `Custom`.
        severity: None for PII.
        confidence: 0 to 1; None if the peer sent no number.
        start, end: the peer's byte offsets into the UTF-8 of the screened text, end exclusive;
            None if they are missing or outside any possible text.
        is_certain: whether the text that the peer quotes is really at these offsets.
    """

    kind: Kind
    type: str
    severity: Severity | None = None
    confidence: float | None = None
    start: int | None = None
    end: int | None = None
    is_certain: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The Reflex Layer's answer to one text.

    Attributes:
        blocked: whether the Reflex Layer itself blocks the text; PII alone never causes it.
        reflex_request_id: the id of this call in the Reflex Layer's logs; empty if it sent none.
    """

    blocked: bool
    matches: tuple[Match, ...]
    reflex_request_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A match, located in the pieces of the submission.

    Attributes:
        places: one for each piece that it covers; empty if the peer's offsets are unusable.
        is_replaceable: whether its places are certain and all of them may be replaced.
    """

    kind: Kind
    type: str
    severity: Severity | None = None
    confidence: float | None = None
    places: tuple[Place, ...] = ()
    is_replaceable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values, without its places."""
        return {
            "kind": self.kind.value,
            "type": self.type,
            "severity": self.severity.name.lower() if self.severity else None,
            "confidence": self.confidence,
        }


def locate(matches: Iterable[Match], document: Document) -> tuple[Finding, ...]:
    """Return the matches as findings with their places in the document.

    A finding gets no places if it would take the total over `MAX_PLACES`.
    """
    found, most = [], MAX_PLACES
    for match in matches:
        places = document.places(match.start, match.end, most=most)
        most -= len(places)
        found.append(_located(match, places, document))
    return tuple(found)


def _located(match: Match, places: tuple[Place, ...], document: Document) -> Finding:
    return Finding(
        kind=match.kind,
        type=match.type,
        severity=match.severity,
        confidence=match.confidence,
        places=places,
        is_replaceable=match.is_certain
        and bool(places)
        and all(document.pieces[place.piece].is_replaceable for place in places),
    )
