"""How attempts and calls end, and what the reconciler may find."""

from typing import Final

from django.db import models


class AttemptOutcome(models.TextChoices):
    DONE = "done"
    FAILED = "failed"
    # It will be tried again.
    RETRIED = "retried"
    PARKED = "parked"
    # Its lease ran out or was given back, and another worker took over.
    LOST = "lost"
    CANCELLED = "cancelled"


class CallOutcome(models.TextChoices):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    NOT_SENT = "not_sent", "not sent"
    UNKNOWN = "unknown"


# The kinds of lost work, which the reconciler rings again.
LOST_WORK: Final = (
    "expired_lease",
    "orphaned_step",
    "dead_bell",
    "action",
    "ready_step",
    "pending_task",
    "time_over",
)
