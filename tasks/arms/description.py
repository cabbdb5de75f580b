"""What the service knows about an arm before it calls it."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

MAX_NAME_CHARACTERS: Final = 40
NAME_PATTERN: Final = rf"^[a-z][a-z0-9-]{{0,{MAX_NAME_CHARACTERS - 1}}}$"
MAX_ROOM: Final = 1_000
MIN_TIMEOUT_SECONDS: Final = 1
MAX_TIMEOUT_SECONDS: Final = 300
MAX_TIER: Final = 9
MAX_USD_PER_MILLION_TOKENS: Final = 10_000
DEFAULT_ROOM: Final = 8
DEFAULT_TIMEOUT_SECONDS: Final = 60
DEFAULT_TIER: Final = 3
DEFAULT_MAX_ANSWER_TOKENS: Final = 4_096


class Protocol(StrEnum):
    OCTOLLM = "octollm"
    OPENAI = "openai"


class Capability(StrEnum):
    EXECUTE = "execute"
    PLAN = "plan"
    VALIDATE = "validate"


class Health(StrEnum):
    """What a check of an arm found; a misconfigured one does not know us, or not this address."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True)
class Arm:
    """An arm and how to call it.

    Attributes:
        name: 1 to `MAX_NAME_CHARACTERS` of `a-z`, `0-9` and `-`, beginning with a letter.
        url: http or https, without user, password, query and fragment.
        model: the model that an `openai` arm is asked for; empty for `octollm`.
        room: how many calls it works on at once.
        timeout_seconds: for one call.
        is_idempotent: whether a request with the same key may be repeated although its outcome is
            unknown.
        tier: the price tier, 1 for the cheapest.
        usd_per_million_input: the price of a million tokens of a request.
        usd_per_million_output: the price of a million tokens of an answer.
        max_answer_tokens: the most tokens that an `openai` arm is asked for in one answer.
        refused_parameters: the optional parameters that an `openai` arm has refused.
    """

    name: str
    protocol: Protocol
    url: str
    model: str = ""
    capabilities: tuple[Capability, ...] = (Capability.EXECUTE,)
    room: int = DEFAULT_ROOM
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    is_idempotent: bool = False
    tier: int = DEFAULT_TIER
    usd_per_million_input: Decimal = Decimal(0)
    usd_per_million_output: Decimal = Decimal(0)
    max_answer_tokens: int = DEFAULT_MAX_ANSWER_TOKENS
    refused_parameters: tuple[str, ...] = ()
