"""The table `task_results`: the results of tasks."""

import uuid

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class TaskResult(models.Model):
    """A result of a task."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID())
    task = models.ForeignKey(
        "tasks.Task",
        # Nothing deletes tasks yet; code that does so has to decide about the results.
        on_delete=models.PROTECT,
        related_name="results",
        # The index below replaces the one that Django would create.
        db_index=False,
    )
    result_data = models.JSONField()
    confidence = models.DecimalField(max_digits=5, decimal_places=4)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "task_results"
        ordering = ("-created_at",)
        # The permission to view a task's content includes its results.
        default_permissions = ()
        indexes = (
            # Reading a task looks for its newest result.
            models.Index(fields=["task"], name="idx_task_results_task_id"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(confidence__range=(0, 1)), name="task_results_confidence_in_range"
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)
