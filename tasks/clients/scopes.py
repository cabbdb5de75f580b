"""What a key or token may do."""

from django.db import models


class Scope(models.TextChoices):
    """One operation, or a group of them, that a key or token may allow."""

    SUBMIT = "task:submit", "submit tasks"
    READ = "task:read", "list tasks and read them"
    CANCEL = "task:cancel", "cancel tasks"
    DRY_RUN = "gate:dry_run", "have texts screened without storing a task"
