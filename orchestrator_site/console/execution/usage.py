"""What the calls of steps used, added up for each role of a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orchestrator_site.console.formats import dollars as in_dollars
from tasks.states import StepRole

# In the order of the table. A decision costs nothing.
ROLES: Final = {
    StepRole.PLAN: "Planning",
    StepRole.EXECUTE: "Steps",
    StepRole.REPAIR: "Repairs",
    StepRole.JUDGE: "Checks",
}


@dataclass(frozen=True)
class Usage:
    """What some calls used, as far as they have ended.

    Attributes:
        is_estimated: whether a call did not report what it used, and its reservation stands for it.
    """

    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)
    spent_seconds: float = 0
    is_estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.usd + other.usd,
            self.spent_seconds + other.spent_seconds,
            self.is_estimated or other.is_estimated,
        )

    @property
    def dollars(self) -> str:
        return in_dollars(self.usd)

    @property
    def seconds(self) -> str:
        return f"{self.spent_seconds:.2f} s"


@dataclass(frozen=True)
class UsageOfRole:
    name: str
    usage: Usage


def usage_by_role(used: Iterable[tuple[StepRole, Usage]]) -> tuple[UsageOfRole, ...]:
    """Return what each role used, and the total as the last row; only roles that had calls."""
    sums: dict[StepRole, Usage] = {}
    for role, usage in used:
        sums[role] = sums.get(role, Usage()) + usage
    rows = [
        UsageOfRole(name, sums[role])
        for role, name in ROLES.items()
        if role in sums and sums[role].calls
    ]
    total = sum((row.usage for row in rows), Usage())
    return (*rows, UsageOfRole("Total", total))
