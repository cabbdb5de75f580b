"""An action on many tasks: its preview, its steps, its report."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Count, F, Func, QuerySet, UUIDField
from django.utils import timezone

from tasks.models import Task
from tasks.models.action import VERBS, Action, Verb, count_of_tasks
from tasks.states import PRIORITY_MATTERS_IN, TRANSITIONS, Priority, Status

MAX_CHOSEN: Final = 100_000
# So many at a time that others wait for their rows for a moment only.
TASKS_PER_STEP: Final = 1_000
# A request takes steps for so long: staff see the progress, and the request never comes near the
# time that it may wait for the database.
SECONDS_PER_REQUEST: Final = 1.0


@dataclass(frozen=True)
class Preview:
    """What an action would do now.

    Attributes:
        to_change: how many of its tasks it would change.
        obstacles: why it would leave the others alone, and how many for each reason.
    """

    to_change: int
    obstacles: dict[str, int]


def sources(verb: Verb) -> list[Status]:
    """Return the statuses in which the verb can be done."""
    wanted = verb.wanted
    if isinstance(wanted, Priority):
        return [status for status in Status if status in PRIORITY_MATTERS_IN]
    return [status for status in Status if wanted in TRANSITIONS[status]]


def obstacle(verb: Verb, status: Status, priority: Priority) -> str:
    """Return why the verb would leave such a task alone; empty where it would change it."""
    wanted = verb.wanted
    if status in sources(verb):
        return f"{priority.label} priority already" if priority == wanted else ""
    if status == wanted:
        return f"{status.label} already"
    if not TRANSITIONS[status]:
        return f"{status.label}, which is final"
    return f"{status.label}; {rule(verb)}"


def rule(verb: Verb) -> str:
    kind = " of another priority" if isinstance(verb.wanted, Priority) else ""
    return f"only {' or '.join(sources(verb))} tasks{kind} can be {verb.done}"


def choose(task_ids: list[uuid.UUID], verb: Verb, *, actor: str) -> Action:
    """Store an action on these tasks, up to `MAX_CHOSEN`, which does nothing yet."""
    Action.objects.abandoned().delete()
    action: Action = Action.objects.create(verb=verb.name, actor=actor, task_ids=task_ids)
    return action


def preview(action: Action) -> Preview:
    ids = Func(F("task_ids"), function="unnest", output_field=UUIDField())
    groups: QuerySet = (
        Task.objects.filter(pk__in=Action.objects.filter(pk=action.pk).values(chosen_id=ids))
        .order_by()
        .values("status", "priority")
        .annotate(tasks=Count("pk"))
        .values_list("status", "priority", "tasks")
    )
    counts: Counter[str] = Counter()
    for status, priority, count in groups:
        counts[obstacle(VERBS[action.verb], Status(status), Priority(priority))] += count
    to_change = counts.pop("", 0)
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Preview(to_change, obstacles=dict(most_first))


def go_on(action: Action) -> None:
    """Take steps, one at least, until the action has ended or it is time to answer."""
    ends_at = time.monotonic() + SECONDS_PER_REQUEST
    while take_step(action.pk) and time.monotonic() < ends_at:
        pass
    action.refresh_from_db()


def take_step(action_id: uuid.UUID) -> bool:
    """Do the verb to the next tasks of a confirmed action; return whether there are more.

    It is done and the action moved on, or neither. Who takes a step at the same time waits, and
    then takes the next one.
    """
    with transaction.atomic():
        action = Action.objects.select_for_update().get(pk=action_id)
        if not action.is_confirmed or action.is_ended:
            return False
        task_ids = action.ids(action.position, TASKS_PER_STEP)
        action.changed += len(_do(action, task_ids))
        action.position += len(task_ids)
        if action.position == action.chosen:
            action.ended_at = timezone.now()
        action.save(update_fields=["changed", "position", "ended_at"])
    return not action.is_ended


def _do(action: Action, task_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    tasks, actor, reason = Task.objects, action.actor, action.reason
    match VERBS[action.verb].wanted:
        case Status.CANCELLED:
            return tasks.cancel(task_ids, actor=actor, reason=reason)
        case Status.PENDING:
            return tasks.requeue(task_ids, actor=actor, reason=reason)
        case Priority() as priority:
            return tasks.change_priority(task_ids, priority, actor=actor, reason=reason)
    raise ValueError("no verb leads there")


def promise(action: Action, preview: Preview) -> str:
    done = VERBS[action.verb].done
    return f"{count_of_tasks(preview.to_change).capitalize()} will be {done}."


def report(action: Action) -> str:
    """Return in a sentence or two how far a confirmed action has come and what it has done."""
    verb = VERBS[action.verb]
    if action.is_stopped or not action.is_ended:
        stopped = "Stopped: " if action.is_stopped else ""
        looked_at = f"{action.position:,} of {count_of_tasks(action.chosen)} looked at"
        return f"{stopped}{looked_at}, {action.changed:,} {verb.done}."
    changed = f"{count_of_tasks(action.changed)} {verb.done}".capitalize()
    if action.changed == action.chosen:
        return f"{changed}."
    left_alone = count_of_tasks(action.chosen - action.changed)
    return f"{changed}; {left_alone} left alone: {rule(verb)}."
