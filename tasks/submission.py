"""A validated submission, before the gate has screened it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from safety.document import Document
from tasks.models.task import (
    COST_DECIMALS,
    DEFAULT_MAX_COST_USD,
    DEFAULT_MAX_TIME_SECONDS,
    DEFAULT_MAX_TOKENS,
)
from tasks.states import Priority

# In the order in which they are screened.
TEXT_FIELDS: Final = ("goal", "constraints", "acceptance_criteria", "context")
_DEFAULT_BUDGET: Final = {
    "max_cost_usd": DEFAULT_MAX_COST_USD,
    "max_time_seconds": DEFAULT_MAX_TIME_SECONDS,
    "max_tokens": DEFAULT_MAX_TOKENS,
}


@dataclass(frozen=True)
class Submission:
    """A validated submission; `tasks.api.serializers` enforces the limits."""

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
        """All its texts and numbers, for one call to the Reflex Layer."""
        return Document(
            {name: getattr(self, name) for name in TEXT_FIELDS},
            fixed={"budget": self._chosen_budget},
        )

    @property
    def _chosen_budget(self) -> dict[str, Any]:
        """The values of the budget that differ from the defaults, as they are stored."""
        chosen = {
            name: getattr(self, name)
            for name, default in _DEFAULT_BUDGET.items()
            if getattr(self, name) != default
        }
        if "max_cost_usd" in chosen:
            chosen["max_cost_usd"] = round(self.max_cost_usd, COST_DECIMALS)
        return chosen

    def with_texts(self, fields: Mapping[str, Any]) -> "Submission":
        """Return a copy with other texts, given by field name."""
        return replace(self, **fields)
