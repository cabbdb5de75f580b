"""Earlier decisions of a run, for the page of its next decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from orchestrator_site.console.execution import step_words
from orchestrator_site.console.execution.decided import of_decision
from tasks.changes import EventKind
from tasks.models import Event, Step
from tasks.states import StepRole, StepState

# The newest ones. The repairs that staff may ask for are fewer.
MAX_EARLIER: Final = 10


@dataclass(frozen=True)
class Earlier:
    """An earlier decision.

    Attributes:
        actor: the member of staff; empty if nobody decided in time.
        about: links to the steps that made up the result at that time.
    """

    label: str
    actor: str
    at: datetime
    reason: str
    wish: str
    about: str


def steps_of(run_id: int) -> QuerySet[Step]:
    """Return the steps of a run without requests, and of the answers only decisions."""
    return (
        Step.objects.filter(run=run_id)
        .defer("request", "answer")
        .annotate(
            outcome=of_decision("outcome"),
            decided_because=of_decision("reason"),
            wish=of_decision("wish"),
        )
    )


def earlier_decisions(step: Step, steps: Sequence[Any], page: str) -> list[Earlier]:
    """Return the earlier decisions of the run of a decision, the newest first.

    Args:
        steps: of the run, from `steps_of`.
        page: the URL of the page of the task.
    """
    decided = [one for one in steps if one.role == StepRole.DECIDE and one.state == StepState.DONE]
    if not decided:
        return []
    events = Event.objects.filter(task=step.task_id, kind=EventKind.DECISION)
    newest = list(events.only("actor", "created_at").order_by("-id")[:MAX_EARLIER])
    return [
        Earlier(
            step_words.outcome_label(one.outcome),
            # Each event is stored just before its step ends.
            next((event.actor for event in newest if event.created_at <= one.ended_at), ""),
            one.ended_at,
            one.decided_because or "",
            one.wish or "",
            step_words.given(one, _sources(one, steps), step.run.number, page),
        )
        for one in sorted(decided, key=lambda one: one.number, reverse=True)[:MAX_EARLIER]
    ]


def _sources(step: Step, steps: Sequence[Any]) -> list[Step]:
    return [one for one in steps if one.number and one.number in step.depends_on]
