"""The actions of staff: one verb, on the tasks that somebody chose, for a reason."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from tasks.states import Priority, Status

# Who looked at what an action would do and then left it comes back within this time or never.
KEPT_UNCONFIRMED_FOR: Final = timedelta(days=1)


@dataclass(frozen=True)
class Verb:
    """What staff can do to many tasks at once.

    Attributes:
        name: as it is stored.
        label: on the console's buttons.
        wanted: what a task is afterwards.
        done: what the task is then said to have been.
    """

    name: str
    label: str
    wanted: Status | Priority
    done: str


def _priority_verb(priority: Priority) -> Verb:
    return Verb(
        name=f"priority_{priority}",
        label=f"Change priority to {priority}",
        wanted=priority,
        done=f"given {priority} priority",
    )


CANCEL: Final = Verb("cancel", "Cancel", Status.CANCELLED, "cancelled")
REQUEUE: Final = Verb("requeue", "Put back to pending", Status.PENDING, "put back to pending")
VERBS: Final = {
    verb.name: verb for verb in (CANCEL, REQUEUE, *(_priority_verb(wanted) for wanted in Priority))
}


class ActionQuerySet(models.QuerySet["Action"]):
    def confirmed(self) -> "ActionQuerySet":
        return self.filter(confirmed_at__isnull=False)

    def seen_by(self, actor: str) -> "ActionQuerySet":
        """Return those that are confirmed, and those that `actor` may yet confirm."""
        return self.filter(Q(confirmed_at__isnull=False) | Q(actor=actor))

    def abandoned(self) -> "ActionQuerySet":
        return self.filter(confirmed_at=None, created_at__lt=Now() - KEPT_UNCONFIRMED_FOR)


_ActionQuerySetManager = models.Manager.from_queryset(ActionQuerySet)


class ActionManager(_ActionQuerySetManager):
    def get_queryset(self) -> Any:
        # Up to a hundred thousand ids in each row, which are looked at in slices.
        return super().get_queryset().defer("task_ids")


class Action(models.Model):
    """One verb, on the tasks that were chosen when somebody asked what it would do.

    It does nothing before it is confirmed, then goes through its tasks step by step, and ends
    behind the last one or where it is stopped. Both are final.

    Attributes:
        actor: the name of the member of staff who chose the tasks; only they may confirm it.
        reason: in the words of the actor; empty until it is confirmed.
        task_ids: they never change, whatever comes under the filter later.
        chosen: how many they are.
        position: how many of them it has gone through.
        changed: how many of those it changed.
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
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = ActionManager()

    class Meta:
        db_table = "task_actions"
        # Who may operate tasks sees what others did.
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

    def confirm(self, reason: str) -> bool:
        """Let it begin; return whether this did it. Of one that is confirmed nothing changes."""
        waiting = Action.objects.filter(pk=self.pk, confirmed_at=None)
        is_first = waiting.update(reason=reason, confirmed_at=Now()) == 1
        self.refresh_from_db()
        return is_first

    def stop(self) -> None:
        """End it where it is; of one that has ended, or never begun, nothing changes."""
        Action.objects.confirmed().filter(pk=self.pk, ended_at=None).update(ended_at=Now())
        self.refresh_from_db()

    def ids(self, first: int, count: int) -> list[uuid.UUID]:
        """Return the ids of `count` of its tasks, from the one with number `first` on."""
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
