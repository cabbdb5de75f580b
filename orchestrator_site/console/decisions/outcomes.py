"""What became of a result that does not wait for a decision any more."""

from typing import Final

from tasks.changes import EventKind
from tasks.execution.runs.moves import ACCEPTED, EXPIRED
from tasks.models import Event, Step

_EXPIRED: Final = "Nobody decided about the result in time, so the task has failed."


def sentence_about(step: Step, *, reader: str) -> str:
    """Return who decided what, and why; or that the task ended without a decision.

    Args:
        reader: the name of the member of staff who is told.
    """
    step = (
        Step.objects.select_related("task")
        .only("answer", "ended_at", "task__status")
        .get(pk=step.pk)
    )
    if not isinstance(step.answer, dict):
        return f"Nobody has to decide any more: the task has ended ({step.task.status})."
    outcome, reason = step.answer["outcome"], step.answer["reason"]
    if outcome == EXPIRED:
        return _EXPIRED
    # A task may have had earlier decisions.
    events = Event.objects.filter(
        task=step.task_id, kind=EventKind.DECISION, created_at__lte=step.ended_at
    )
    event = events.order_by("-id").first()
    actor = event.actor if event else ""
    verb = "accepted" if outcome == ACCEPTED else "rejected"
    moment = f"{step.ended_at:%Y-%m-%d %H:%M:%S} UTC"
    who = "You have" if actor == reader else "Somebody else has"
    return f"{who} decided already: {actor} {verb} the result at {moment}, because: {reason}"
