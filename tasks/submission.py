"""What a client submits, before the gate has seen it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from safety.document import Document, Piece, pieces_of
from tasks.models import Priority


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
        return Document(self._pieces())

    def _pieces(self) -> Iterator[Piece]:
        yield Piece("goal", self.goal)
        yield from pieces_of("constraints", self.constraints)
        yield from pieces_of("acceptance_criteria", self.acceptance_criteria)
        yield from pieces_of("context", self.context)
