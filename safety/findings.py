"""What a screening can find, without ever holding the text it was found in."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


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
class Finding:
    """One thing the Reflex Layer found.

    Attributes:
        type: a name of the protocol's list, or `Custom`.
        severity: None for PII.
        confidence: 0 to 1, None where the peer gave none.
        start, end: byte offsets into the UTF-8 of the screened text, end exclusive,
            as the peer sent them; None where it sent none that can be in a text.
    """

    kind: Kind
    type: str
    severity: Severity | None = None
    confidence: float | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Reflex Layer said about one text.

    Attributes:
        blocked: its own opinion; PII alone never makes it true.
        reflex_request_id: the id under which its logs know this call; empty if it gave none.
    """

    blocked: bool
    findings: tuple[Finding, ...]
    reflex_request_id: str
    cache_hit: bool
