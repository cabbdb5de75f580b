"""Counters in PostgreSQL, which all processes share and `/metrics` adds up.

A counter is raised in the transaction of what it counts. It has several parts, so that processes
that count at the same time do not wait for one another.
"""

import os
import threading
from typing import Final

# Many more than there are threads at a time, so that few share a part.
PARTS: Final = 512
COLUMNS: Final = "counts (name, labels, shard, value)"
# Statements raise all their counters at once, in the order of names and labels, and after every
# other row that they change. So no two of them wait for each other.
ADD: Final = "ON CONFLICT (name, labels, shard) DO UPDATE SET value = counts.value + excluded.value"

TASKS: Final = "tasks"
ARM_CALLS: Final = "arm_calls"
TOKENS: Final = "tokens"
COST_USD: Final = "cost_usd"
ATTEMPTS: Final = "attempts"
# Labelled with the upper bound of the bucket; the sum of the times has the label `sum`.
DURATION: Final = "task_duration_seconds"
LEASES_LOST: Final = "leases_lost"
RECONCILED: Final = "reconciled"
DURATION_BUCKETS: Final = (
    0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400,
)  # fmt: skip
SUM: Final = "sum"
BEYOND: Final = "+Inf"

_thread = threading.local()


def part() -> int:
    """Return the part that this thread raises."""
    if getattr(_thread, "process", None) != os.getpid():
        # Threads of one process are numbered one after the other, so they differ.
        _thread.process, _thread.part = os.getpid(), threading.get_native_id() % PARTS
    number: int = _thread.part
    return number


def bucket_sql(seconds: str) -> str:
    """Return the SQL expression for the label of the bucket of a duration."""
    cases = " ".join(f"WHEN {seconds} <= {bound} THEN '{bound}'" for bound in DURATION_BUCKETS)
    return f"CASE {cases} ELSE '{BEYOND}' END"
