"""Statuses, priorities and verdicts of tasks, and which status may follow which."""

from typing import Final

from django.db import models

from safety.policy import Verdict


class Status(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TaskVerdict(models.TextChoices):
    """The verdicts under which a task may exist."""

    SAFE = Verdict.SAFE.value
    FLAGGED = Verdict.FLAGGED.value
    UNSCREENED = Verdict.UNSCREENED.value


# Which statuses may follow one. A status that nothing follows is final.
TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    Status.PENDING: frozenset({Status.PROCESSING, Status.CANCELLED}),
    Status.PROCESSING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    # A person may put a failed task back.
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset(),
}
# Nobody looks at the priority of a task that was taken into work.
PRIORITY_MATTERS_IN: Final = frozenset({Status.PENDING})
