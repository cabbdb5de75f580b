"""The table `task_events`: every change of a task after its submission."""

from django.db import models
from django.db.models import Value
from django.db.models.functions import Now

from tasks.changes import ActorKind, EventKind, kind_of_actor


class Event(models.Model):
    """One change of a task; the database refuses to change or delete it.

    The submission and the screening are not events: the rows of the task and of its receipt hold
    them.

    Attributes:
        actor: the name of the member of staff; empty if the service or a client acted.
        actor_kind: one of `ActorKind`; null in events older than the column.
        reason: as the actor gave it.
        data: `from` and `to`, the status or priority before and after.
    """

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(
        "tasks.Task",
        # The database refuses to delete events.
        on_delete=models.PROTECT,
        related_name="events",
        # The index below replaces the one that Django would create.
        db_index=False,
    )
    kind = models.TextField(choices=EventKind)
    actor = models.TextField(default="", db_default="")
    actor_kind = models.TextField(choices=ActorKind, null=True)  # noqa: DJ001 - old events
    reason = models.TextField(default="", db_default="")
    data = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "task_events"
        # The permission to view a task includes its timeline.
        default_permissions = ()
        # Changes of a task wait for each other, so its events are in the order of their ids.
        ordering = ("id",)
        indexes = (
            # The page of a task shows its timeline.
            models.Index(fields=["task", "id"], name="idx_task_events_task_id"),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind__in=EventKind.values), name="task_events_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(actor_kind__in=ActorKind.values),
                name="task_events_actor_kind_known",
            ),
        )

    def __str__(self) -> str:
        if "to" not in self.data:
            return str(self.get_kind_display())
        return f"{self.get_kind_display()}: {self.data.get('from')} → {self.data['to']}"

    @property
    def acted(self) -> ActorKind:
        """Return the kind of the actor, also for events older than the column."""
        return ActorKind(self.actor_kind or kind_of_actor(self.actor))
