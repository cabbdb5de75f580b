"""The table of docs/reliability.md about faults of workers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

COLUMNS = (
    "fault",
    "action",
    "tasks",
    "completed",
    "failed",
    "cancelled",
    "calls",
    "of these unknown",
    "ended after",
)


@dataclass(frozen=True)
class Work:
    """What became of tasks.

    Attributes:
        done: the action that caused the fault, for the table.
        statuses: how many tasks are in each status.
        calls: how many calls had each outcome.
        recovered_seconds: from the end of the fault until every task had ended.
        wrong: broken guarantees, one line for each kind.
    """

    done: str
    statuses: "Counter[str]"
    calls: "Counter[str]"
    recovered_seconds: float
    wrong: list[str]


JudgeWork = Callable[[str, Work], None]


def cells(fault: str, work: Work) -> list[str]:
    """Return the row of the table."""
    return [
        fault,
        work.done,
        str(work.statuses.total()),
        str(work.statuses["completed"]),
        str(work.statuses["failed"]),
        str(work.statuses["cancelled"]),
        str(work.calls.total()),
        str(work.calls["unknown"]),
        f"{work.recovered_seconds:.1f} s",
    ]
