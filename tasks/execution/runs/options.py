"""What operators choose about plans and checks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DEFAULT_DECISION_SECONDS: Final = 604_800


class Planning(StrEnum):
    """Which tasks are planned, if an arm can plan."""

    # Those that are not simple.
    AUTO = "auto"
    ALL = "all"
    NONE = "none"


class Undecided(StrEnum):
    """What becomes of a result if nobody can say whether it meets a criterion."""

    COMPLETE = "complete"
    ASK = "ask"


@dataclass(frozen=True)
class RunOptions:
    """
    Attributes:
        decision_seconds: how long a result waits for a decision of staff.
    """

    planning: Planning = Planning.AUTO
    undecided: Undecided = Undecided.COMPLETE
    decision_seconds: int = DEFAULT_DECISION_SECONDS


DEFAULT: Final = RunOptions()
