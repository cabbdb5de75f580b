"""The events of a task: what happened to it after its submission, and by whom."""

from django.db import models
from django.db.models import Value
from django.db.models.functions import Now

from tasks.changes import ActorKind, EventKind, kind_of_actor


class Event(models.Model):
    """One change of a task; the database refuses to change or delete it.

    Submission and screening stand in the rows of the task and of its receipt.

    Attributes:
        actor: the name of the member of staff; empty where it was the service itself.
        actor_kind: one of `ActorKind`; null in events older than the column.
        reason: in the words of the actor.
        data: `from` and `to`, the status or priority before and after.
    """

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(
        "tasks.Task",
        # The database would refuse anything else.
        on_delete=models.PROTECT,
        related_name="events",
        # The index below stands in for the one that Django would name itself.
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
        # Who may see a task sees its timeline.
        default_permissions = ()
        # The changes of a task wait for each other, and so the ids of its events have their order.
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
        return f"{self.get_kind_display()}: {self.data.get('from')} → {self.data.get('to')}"

    @property
    def acted(self) -> ActorKind:
        """Return the kind of the actor, also for events from before the column existed."""
        return ActorKind(self.actor_kind or kind_of_actor(self.actor))
