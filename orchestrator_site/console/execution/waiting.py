"""What tasks wait for: the choices of the list's filter, the dashboard's rows, and sentences."""

from datetime import datetime
from typing import Final

from django.db.models import Q

from tasks.models import Step
from tasks.states import StepState, WaitsFor

# Beside the reasons of parked steps: the time of the next call.
NEXT_CALL: Final = "call"
REASONS: Final = {
    **{reason.value: reason.label for reason in WaitsFor},
    NEXT_CALL: "the time of its next call",
}


def steps_that_wait_for(reason: str) -> Q:
    """Return the condition for steps; an index has them.

    Raises:
        ValueError: there is no such reason.
    """
    if reason == NEXT_CALL:
        return Q(wake_at__isnull=False)
    return Q(waits_for=WaitsFor(reason))


def in_words(step: Step) -> str:
    """Return what becomes of the step next, or when it ended."""
    state = StepState(step.state)
    if step.ended_at:
        return f"{state.label} at {_moment(step.ended_at)}"
    if step.waits_for and step.parked_at:
        place = f"; only {step.waits_at} may carry it out" if step.waits_at else ""
        reason = WaitsFor(step.waits_for).label
        return f"Waits for {reason} since {_moment(step.parked_at)}{place}"
    if step.wake_at:
        return f"Is tried again at {_moment(step.wake_at)}"
    if state is StepState.RUNNING:
        return "A worker carries it out now"
    if state is StepState.WAITING:
        return "Waits for other steps of its plan"
    return "Ready: the next free worker takes it"


def moment_in_words(step: Step) -> str:
    """Return when the step ended, or since when it is parked."""
    if step.ended_at:
        return f"at {_moment(step.ended_at)}"
    return f"since {_moment(step.parked_at)}" if step.parked_at else ""


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
