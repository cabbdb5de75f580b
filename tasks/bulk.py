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
from tasks.states import TRANSITIONS, Priority, Status, sources

MAX_CHOSEN: Final = 100_000
# Small enough that others wait for the locked rows only for a moment.
TASKS_PER_STEP: Final = 1_000
# After this time a request answers, so that staff see progress and the request stays far below the
# timeout of the database.
SECONDS_PER_REQUEST: Final = 1.0


@dataclass(frozen=True)
class Preview:
    """What an action would do now.

    Attributes:
        to_change: how many of its tasks it would change.
        obstacles: each reason to skip tasks, and how many tasks it applies to.
    """

    to_change: int
    obstacles: dict[str, int]


def obstacle(verb: Verb, status: Status, priority: Priority) -> str:
    """Return why `verb` would skip such a task; empty if it would change the task."""
    wanted = verb.wanted
    if status in sources(verb.wanted):
        return f"{priority.label} priority already" if priority == wanted else ""
    if status == wanted:
        return f"{status.label} already"
    if not TRANSITIONS[status]:
        return f"{status.label}, which is final"
    return f"{status.label}; {rule(verb)}"


def rule(verb: Verb) -> str:
    kind = " of another priority" if isinstance(verb.wanted, Priority) else ""
    return f"only {' or '.join(sources(verb.wanted))} tasks{kind} can be {verb.done}"


def choose(task_ids: list[uuid.UUID], verb: Verb, *, actor: str) -> Action:
    """Store an action on these tasks, at most `MAX_CHOSEN`. It waits for its confirmation."""
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


def proceed(action: Action) -> None:
    """Take at least one step, and more until the action has ended or it is time to answer."""
    ends_at = time.monotonic() + SECONDS_PER_REQUEST
    while take_step(action.pk) and time.monotonic() < ends_at:
        pass
    action.refresh_from_db()


def take_step(action_id: uuid.UUID) -> bool:
    """Apply the verb to the next tasks of a confirmed action; return whether there are more.

    The tasks and the position of the action change in one transaction. Two requests at the same
    time take one step after the other.
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
    raise ValueError("unknown verb")


def promise(action: Action, preview: Preview) -> str:
    done = VERBS[action.verb].done
    return f"{count_of_tasks(preview.to_change).capitalize()} will be {done}."


def report(action: Action) -> str:
    """Return the progress and the result of a confirmed action in a sentence or two."""
    verb = VERBS[action.verb]
    if action.is_stopped or not action.is_ended:
        stopped = "Stopped: " if action.is_stopped else ""
        processed = f"{action.position:,} of {count_of_tasks(action.chosen)} processed"
        return f"{stopped}{processed}, {action.changed:,} {verb.done}."
    changed = f"{count_of_tasks(action.changed)} {verb.done}".capitalize()
    if action.changed == action.chosen:
        return f"{changed}."
    skipped = count_of_tasks(action.chosen - action.changed)
    return f"{changed}; {skipped} skipped: {rule(verb)}."
