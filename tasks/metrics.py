"""What happens to tasks, counted."""

from prometheus_client import Counter

TASKS = Counter(
    "octollm_orchestrator_tasks_total",
    "Total number of tasks submitted, and of their later entries into each status",
    ["status"],
)
