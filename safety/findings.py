"""What a screening can find, without ever holding the text it was found in."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from safety.document import MAX_PLACES, Document, Place


class Kind(StrEnum):
    PII = "pii"
    INJECTION = "injection"


class Severity(IntEnum):
    """How bad an injection is; ordered, so that a policy can say "from high up"."""

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
# Stands for every type the protocol does not list. The name a peer gives to one is
# its own text and goes nowhere.
CUSTOM_TYPE = "Custom"


@dataclass(frozen=True, slots=True)
class Match:
    """One thing the Reflex Layer found, as it says it.

    Attributes:
        type: a name of the protocol's list, or `Custom`.
        severity: None for PII.
        confidence: 0 to 1, None where the peer gave none.
        start, end: byte offsets into the UTF-8 of the screened text, end exclusive, as the
            peer sent them; None where it sent none that can be right.
        is_certain: whether the text that the peer says it matched stands there.
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
    """What the Reflex Layer said about one text.

    Attributes:
        blocked: its own opinion; PII alone never makes it true.
        reflex_request_id: the id under which its logs know this call; empty if it gave none.
    """

    blocked: bool
    matches: tuple[Match, ...]
    reflex_request_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A match in the submission itself.

    Attributes:
        places: one for each field that it lies in; empty where the peer's offsets mean none.
        is_replaceable: whether it lies, with certainty, in texts that may be replaced.
    """

    kind: Kind
    type: str
    severity: Severity | None = None
    confidence: float | None = None
    places: tuple[Place, ...] = ()
    is_replaceable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what it is as JSON values, without where."""
        return {
            "kind": self.kind.value,
            "type": self.type,
            "severity": self.severity.name.lower() if self.severity else None,
            "confidence": self.confidence,
        }


def locate(matches: Iterable[Match], document: Document) -> tuple[Finding, ...]:
    """Return what was found with the fields it lies in; it keeps no text.

    What lies in more of them than `MAX_PLACES` leaves over lies nowhere.
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
