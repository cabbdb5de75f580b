"""An action on many tasks: its preview, its steps, its report."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Count, Exists, F, Func, OuterRef, Q, QuerySet, UUIDField, Value
from django.utils import timezone

from tasks.execution.failures import FailureCode
from tasks.execution.releasing import release, retry_now
from tasks.execution.ringing import ring_action
from tasks.models import Run, Step, Task
from tasks.models.action import RELEASE, REQUEUE, RETRY_NOW, VERBS, Action, Verb, count_of_tasks
from tasks.states import TRANSITIONS, Priority, Status, WaitsFor, sources

MAX_CHOSEN: Final = 100_000
# Small enough that others wait for the locked rows only for a moment.
TASKS_PER_STEP: Final = 1_000
OUTCOME_UNKNOWN: Final = "Failed with an unknown outcome, so its effect may happen twice"
_RULES: Final = {
    RELEASE: "only tasks that wait for their release can be released",
    RETRY_NOW: "only tasks that wait for the time of their next call can be retried",
}
# The steps that the verb lets go on.
_WAITING: Final = {
    RELEASE: Q(waits_for=WaitsFor.RELEASE),
    RETRY_NOW: Q(wake_at__isnull=False),
}
_STEPS: Final = Step.objects.filter(task=OuterRef("pk"))
# Whether the last run of a task failed, and its arm may have carried it out nevertheless. A run
# that is about to begin has no row yet, so this is asked for failed tasks only.
_IS_UNKNOWN: Final = Exists(
    Run.objects.filter(
        ~Exists(Run.objects.filter(task=OuterRef("task"), number__gt=OuterRef("number"))),
        task=OuterRef("pk"),
        failure_code=FailureCode.OUTCOME_UNKNOWN,
    )
)


@dataclass(frozen=True)
class Sight:
    """What decides whether a verb changes a task.

    Attributes:
        is_waiting: whether the task waits for what the verb ends.
        is_unknown: whether its last run failed with an unknown outcome.
    """

    status: Status
    priority: Priority
    is_waiting: bool = False
    is_unknown: bool = False


@dataclass(frozen=True)
class Preview:
    """What an action would do now.

    Attributes:
        to_change: how many of its tasks it would change.
        unknown: how many more it would change if it included tasks whose outcome is unknown.
        obstacles: each reason to skip tasks, and how many tasks it applies to.
    """

    to_change: int
    unknown: int
    obstacles: dict[str, int]


def obstacle(verb: Verb, sight: Sight) -> str:
    """Return why `verb` would skip such a task; empty if it would change the task."""
    status, wanted = sight.status, verb.wanted
    if wanted is None:
        if sight.is_waiting:
            return ""
    elif status in sources(wanted):
        if verb == REQUEUE and sight.is_unknown:
            return OUTCOME_UNKNOWN
        return f"{sight.priority.label} priority already" if sight.priority == wanted else ""
    elif status == wanted:
        return f"{status.label} already"
    if not TRANSITIONS[status]:
        return f"{status.label}, which is final"
    return f"{status.label}; {rule(verb)}"


def rule(verb: Verb) -> str:
    if verb.wanted is None:
        return _RULES[verb]
    kind = " of another priority" if isinstance(verb.wanted, Priority) else ""
    return f"only {' or '.join(sources(verb.wanted))} tasks{kind} can be {verb.done}"


def verbs_for(task: Task) -> list[Verb]:
    """Return the verbs that would change this task; requeuing it may need a special choice."""
    status, priority = Status(task.status), Priority(task.priority)
    waiting = {
        verb: not task.is_final and Step.objects.filter(condition, task=task).exists()
        for verb, condition in _WAITING.items()
    }
    return [
        verb
        for verb in VERBS.values()
        if not obstacle(verb, Sight(status, priority, is_waiting=waiting.get(verb, False)))
    ]


def choose(task_ids: list[uuid.UUID], verb: Verb, *, actor: str) -> Action:
    """Store an action on these tasks, at most `MAX_CHOSEN`. It waits for its confirmation."""
    Action.objects.abandoned().delete()
    action: Action = Action.objects.create(verb=verb.name, actor=actor, task_ids=task_ids)
    return action


def preview(action: Action) -> Preview:
    verb = VERBS[action.verb]
    ids = Func(F("task_ids"), function="unnest", output_field=UUIDField())
    chosen: QuerySet = Task.objects.filter(
        pk__in=Action.objects.filter(pk=action.pk).values(chosen_id=ids)
    )
    groups = (
        _with_facts(chosen, verb)
        .order_by()
        .values("status", "priority", "is_waiting", "is_unknown")
        .annotate(tasks=Count("pk"))
        .values_list("status", "priority", "is_waiting", "is_unknown", "tasks")
    )
    counts: Counter[str] = Counter()
    for status, priority, is_waiting, is_unknown, count in groups:
        sight = Sight(Status(status), Priority(priority), is_waiting, is_unknown)
        counts[obstacle(verb, sight)] += count
    to_change = counts.pop("", 0)
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Preview(to_change, counts[OUTCOME_UNKNOWN], obstacles=dict(most_first))


def _with_facts(tasks: QuerySet, verb: Verb) -> QuerySet:
    """Add what matters to the verb, and only that: each fact is looked up for each task."""
    no = Value(False)
    condition = _WAITING.get(verb)
    with_facts: QuerySet = tasks.annotate(
        is_waiting=no if condition is None else Exists(_STEPS.filter(condition)),
        is_unknown=_IS_UNKNOWN if verb == REQUEUE else no,
    )
    return with_facts


def confirm(action: Action, reason: str, *, includes_unknown: bool = False) -> bool:
    """Confirm an action, and tell the workers, who carry it out.

    Return False if it was confirmed before; nothing changes then.
    """
    with transaction.atomic():
        is_first = action.confirm(reason, includes_unknown=includes_unknown)
        if is_first:
            ring_action(action.pk)
    return is_first


def proceed(action_id: uuid.UUID, *, seconds: float) -> bool:
    """Take at least one step, and more for so long; return whether there are more to take."""
    ends_at = time.monotonic() + seconds
    while has_more := take_step(action_id):
        if time.monotonic() >= ends_at:
            break
    return has_more


def take_step(action_id: uuid.UUID) -> bool:
    """Apply the verb to the next tasks of a confirmed action; return whether there are more.

    The tasks and the position of the action change in one transaction. Two workers at the same
    time take one step after the other.
    """
    with transaction.atomic():
        action = Action.objects.select_for_update().get(pk=action_id)
        if not action.is_confirmed or action.is_ended:
            return False
        task_ids = action.ids(action.position, TASKS_PER_STEP)
        action.changed += len(_do(action, task_ids))
        action.position += len(task_ids)
        action.worked_at = timezone.now()
        if action.position == action.chosen:
            action.ended_at = action.worked_at
        action.save(update_fields=["changed", "position", "worked_at", "ended_at"])
    return not action.is_ended


def _do(action: Action, task_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    tasks, verb = Task.objects, VERBS[action.verb]
    actor, reason = action.actor, action.reason
    match verb.wanted:
        case Status.CANCELLED:
            return tasks.cancel(task_ids, actor=actor, reason=reason)
        case Status.PENDING:
            return tasks.requeue(_to_requeue(action, task_ids), actor=actor, reason=reason)
        case Priority() as priority:
            return tasks.change_priority(task_ids, priority, actor=actor, reason=reason)
    let_go_on = release if verb == RELEASE else retry_now
    return let_go_on(task_ids, actor=actor, reason=reason)


def _to_requeue(action: Action, task_ids: list[uuid.UUID]) -> list[uuid.UUID]:
    """Return the failed tasks, without those whose outcome is unknown unless they are included."""
    if action.includes_unknown:
        return task_ids
    failed = Task.objects.filter(pk__in=task_ids, status=Status.FAILED)
    # Locked first: a task that fails between two statements must not slip through.
    locked = failed.order_by("pk").select_for_update(no_key=True)
    ids = list(locked.values_list("pk", flat=True))
    return list(Task.objects.filter(~Q(_IS_UNKNOWN), pk__in=ids).values_list("pk", flat=True))


def promise(action: Action, preview: Preview) -> str:
    done = VERBS[action.verb].done
    more = f", and {preview.unknown:,} more if you tick the box below" if preview.unknown else ""
    return f"{count_of_tasks(preview.to_change).capitalize()} will be {done}{more}."


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
    why = rule(verb)
    if verb == REQUEUE and not action.includes_unknown:
        why += ", and none whose outcome is unknown"
    return f"{changed}; {skipped} skipped: {why}."
