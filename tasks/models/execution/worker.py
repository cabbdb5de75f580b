"""The table `workers`: the processes that carry tasks out."""

import uuid
from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Workers write their sign of life every few seconds.
LIVES_FOR: Final = timedelta(seconds=20)


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> "WorkerQuerySet":
        """Return the workers that gave a sign of life lately and have not stopped."""
        return self.filter(ended_at=None, seen_at__gt=Now() - LIVES_FOR)


class Worker(models.Model):
    """A worker process.

    Attributes:
        machine: the name of its host.
        process: its process id there.
        concurrency: how many steps it works on at once.
        seen_at: its last sign of life.
        ended_at: when it stopped in order.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    machine = models.TextField()
    process = models.IntegerField()
    version = models.TextField()
    concurrency = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        db_table = "workers"
        ordering = ("-started_at",)
        default_permissions = ("view",)
        indexes = (
            # Pages and `prune` look for those that live.
            models.Index(
                fields=["seen_at"], condition=Q(ended_at__isnull=True), name="idx_workers_seen_at"
            ),
        )

    def __str__(self) -> str:
        return f"{self.machine}, process {self.process}"
