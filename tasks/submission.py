"""What a client submits, before the gate has seen it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from safety.document import Document
from tasks.models import Priority

# In the order in which they are screened.
TEXT_FIELDS: Final = ("goal", "constraints", "acceptance_criteria", "context")


@dataclass(frozen=True)
class Submission:
    """A validated submission; limits are held by `tasks.serializers`."""

    goal: str
    constraints: Sequence[str]
    context: Mapping[str, Any]
    acceptance_criteria: Sequence[str]
    priority: Priority
    max_cost_usd: Decimal
    max_time_seconds: int
    max_tokens: int

    @cached_property
    def document(self) -> Document:
        """All its texts, as they are screened in one call."""
        return Document({name: getattr(self, name) for name in TEXT_FIELDS})

    def with_texts(self, fields: Mapping[str, Any]) -> "Submission":
        """Return it with other texts, by the names of their fields."""
        return replace(self, **fields)
