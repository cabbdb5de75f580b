"""The specified defaults of the columns of `tasks`."""

from decimal import Decimal
from typing import Any

DEFAULTS: dict[str, Any] = {
    "status": "pending",
    "priority": "medium",
    "constraints": [],
    "context": {},
    "acceptance_criteria": [],
    "task_metadata": {},
    "assigned_arm": None,
    "max_cost_usd": Decimal("1.0"),
    "max_time_seconds": 600,
    "max_tokens": 10_000,
}
