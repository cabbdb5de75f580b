"""Statuses, priorities and verdicts of tasks, and which status may follow which."""

from typing import Final

from django.db import models

from safety.policy import Verdict


class Status(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class StepState(models.TextChoices):
    """The states of a step; the last three are final."""

    # Steps that it depends on are not done, or enough of its task are being carried out.
    WAITING = "waiting"
    # It may be claimed, unless it waits until a time or for something.
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES: Final = (StepState.WAITING, StepState.READY, StepState.RUNNING)
FINAL_STATES: Final = tuple(state for state in StepState if state not in OPEN_STATES)


class StepRole(models.TextChoices):
    """What a step is for."""

    EXECUTE = "execute", "step"
    # An arm makes the plan of the steps that follow.
    PLAN = "plan", "plan"
    # An arm says whether a result meets the criteria.
    JUDGE = "judge", "check"
    # An arm does again what did not meet the criteria.
    REPAIR = "repair", "repair"
    # Staff accept a result or reject it.
    DECIDE = "decide", "decision"


class WaitsFor(models.TextChoices):
    """What a parked step waits for."""

    ARM = "arm", "an arm"
    ROOM = "room", "room at an arm"
    BUDGET = "budget", "the budget of the day"
    # Staff let it begin.
    RELEASE = "release", "its release"
    # Staff end the pause of all calls.
    RESUME = "resume", "the end of the pause"
    # Staff accept or reject the result.
    DECISION = "decision", "a decision"


class TaskVerdict(models.TextChoices):
    """The verdicts under which a task may exist."""

    SAFE = Verdict.SAFE.value
    FLAGGED = Verdict.FLAGGED.value
    UNSCREENED = Verdict.UNSCREENED.value


# Which statuses may follow a status. A status without a successor is final.
TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    Status.PENDING: frozenset({Status.PROCESSING, Status.CANCELLED}),
    Status.PROCESSING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    # Staff may requeue a failed task.
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset(),
}
# The priority has no effect once a task is being processed.
PRIORITY_MATTERS_IN: Final = frozenset({Status.PENDING})


def sources(wanted: Status | Priority) -> list[Status]:
    """Return the statuses in which a task may enter a status, or get a priority."""
    if isinstance(wanted, Priority):
        return [status for status in Status if status in PRIORITY_MATTERS_IN]
    return [status for status in Status if wanted in TRANSITIONS[status]]
