"""What goes to an arm and what comes back, in the form that both protocols share."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Work:
    """Work for an arm.

    Attributes:
        subject_id: the id of what the work belongs to, a task here.
        key: names this work for ever: the arm gets it as `Idempotency-Key` and `request_id`.
        priority: `low`, `medium`, `high` or `critical`.
        max_tokens: how many tokens the work may use.
        max_time_seconds: how long the work may take.
        max_cost_usd: what the work may cost.
        deadline_at: when the work is over, whatever has been done.
        timeout_seconds: how long the call may take.
        output: what has to be judged; only for the capability `validate`.
        left_tokens, left_usd: what request and answer may use together where an answer may use
            `max_tokens` and `max_cost_usd`; None for no more than these.
    """

    subject_id: UUID
    key: UUID
    capability: str
    goal: str
    constraints: list[str]
    context: dict[str, Any]
    acceptance_criteria: list[str]
    priority: str
    max_tokens: int
    max_time_seconds: int
    max_cost_usd: Decimal
    created_at: datetime
    deadline_at: datetime
    timeout_seconds: int
    output: Any = None
    left_tokens: int | None = None
    left_usd: Decimal | None = None


@dataclass(frozen=True)
class Request:
    """A request to an arm, ready to be sent as often as it takes.

    Attributes:
        tokens: the most tokens that it is expected to use.
        cost_usd: what these would cost.
    """

    body: bytes
    tokens: int
    cost_usd: Decimal


@dataclass(frozen=True)
class Usage:
    """What a call took, as far as the arm reported it in a usable form; None where it did not."""

    tokens: int | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of an arm that carried out the work.

    Attributes:
        result: any JSON value but null. That of `plan` is described in `tasks.arms.plans`, and that
            of `validate` in `tasks.arms.verdicts`.
        confidence: 0 to 1.
    """

    result: Any
    confidence: float
    usage: Usage
