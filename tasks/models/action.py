"""The table `task_actions`: one verb of staff, applied to many tasks for a reason."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from tasks.states import Priority, Status

# Staff who previewed an action and left come back within this time or not at all.
KEPT_UNCONFIRMED_FOR: Final = timedelta(days=1)


@dataclass(frozen=True)
class Verb:
    """What staff can do to many tasks at once.

    Attributes:
        name: as it is stored.
        label: on the console's buttons.
        wanted: what a task is afterwards; None if it only stops waiting.
        done: what the task is then said to have been.
    """

    name: str
    label: str
    wanted: Status | Priority | None
    done: str


def _priority_verb(priority: Priority) -> Verb:
    return Verb(
        name=f"priority_{priority}",
        label=f"Change priority to {priority}",
        wanted=priority,
        done=f"given {priority} priority",
    )


CANCEL: Final = Verb("cancel", "Cancel", Status.CANCELLED, "cancelled")
REQUEUE: Final = Verb("requeue", "Requeue", Status.PENDING, "requeued")
RELEASE: Final = Verb("release", "Release", None, "released")
RETRY_NOW: Final = Verb("retry_now", "Retry now", None, "retried")
VERBS: Final = {
    verb.name: verb
    for verb in (
        CANCEL,
        REQUEUE,
        RELEASE,
        RETRY_NOW,
        *(_priority_verb(wanted) for wanted in Priority),
    )
}


class ActionQuerySet(models.QuerySet["Action"]):
    def confirmed(self) -> "ActionQuerySet":
        return self.filter(confirmed_at__isnull=False)

    def seen_by(self, actor: str) -> "ActionQuerySet":
        """Return the confirmed actions, and those that `actor` may still confirm."""
        return self.filter(Q(confirmed_at__isnull=False) | Q(actor=actor))

    def abandoned(self) -> "ActionQuerySet":
        return self.filter(confirmed_at=None, created_at__lt=Now() - KEPT_UNCONFIRMED_FOR)


_ActionQuerySetManager = models.Manager.from_queryset(ActionQuerySet)


class ActionManager(_ActionQuerySetManager):
    def get_queryset(self) -> Any:
        # A row may hold a hundred thousand ids; `ids` reads them in slices.
        return super().get_queryset().defer("task_ids")


class Action(models.Model):
    """A verb and the tasks that staff chose for it.

    An action does nothing until it is confirmed. Then it processes its tasks step by step. It ends
    after the last task, or when it is stopped; both are final.

    Attributes:
        actor: the name of the member of staff who chose the tasks; only they may confirm it.
        reason: given by the actor at the confirmation; empty until then.
        task_ids: the chosen tasks; the list never changes, even if the filter matches others later.
        chosen: the number of chosen tasks.
        position: how many of them have been processed.
        changed: how many of the processed tasks were changed.
        includes_unknown: whether to requeue tasks whose outcome is unknown too; their effect may
            then happen twice.
        worked_at: when a worker took its last step.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    verb = models.TextField(choices=[(verb.name, verb.label) for verb in VERBS.values()])
    actor = models.TextField()
    reason = models.TextField(default="")
    task_ids = ArrayField(models.UUIDField())
    chosen = models.GeneratedField(
        expression=Func(F("task_ids"), function="cardinality"),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    position = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    includes_unknown = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    worked_at = models.DateTimeField(null=True)

    objects = ActionManager()

    class Meta:
        db_table = "task_actions"
        # The permission `operate_task` includes the actions of others.
        default_permissions = ()
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(verb__in=list(VERBS)), name="task_actions_verb_known"
            ),
            models.CheckConstraint(condition=Q(chosen__gt=0), name="task_actions_chosen_some"),
            models.CheckConstraint(
                condition=Q(changed__gte=0, position__gte=F("changed"), chosen__gte=F("position")),
                name="task_actions_counts_in_order",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=False, reason__gt="")
                | Q(confirmed_at=None, ended_at=None, reason="", position=0),
                name="task_actions_confirmed_for_a_reason",
            ),
        )

    def __str__(self) -> str:
        return f"{VERBS[self.verb].label}: {count_of_tasks(self.chosen)}"

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def is_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def is_stopped(self) -> bool:
        return self.is_ended and self.position < self.chosen

    def confirm(self, reason: str, *, includes_unknown: bool = False) -> bool:
        """Confirm the action; return False if it was confirmed before, and change nothing then."""
        waiting = Action.objects.filter(pk=self.pk, confirmed_at=None)
        is_first = (
            waiting.update(reason=reason, includes_unknown=includes_unknown, confirmed_at=Now())
            == 1
        )
        self.refresh_from_db()
        return is_first

    def stop(self) -> None:
        """End the action where it is; nothing changes if it has ended or was never confirmed."""
        Action.objects.confirmed().filter(pk=self.pk, ended_at=None).update(ended_at=Now())
        self.refresh_from_db()

    def ids(self, first: int, count: int) -> list[uuid.UUID]:
        """Return the ids of `count` of its tasks, beginning with number `first`."""
        ids = F("task_ids")[first : first + count]
        return list(Action.objects.values_list(ids, flat=True).get(pk=self.pk))


def count_of_tasks(tasks: int) -> str:
    """Return a number of tasks in words: `no tasks`, `1 task`, `1,200 tasks`."""
    match tasks:
        case 0:
            return "no tasks"
        case 1:
            return "1 task"
    return f"{tasks:,} tasks"
