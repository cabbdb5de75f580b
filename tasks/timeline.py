"""The timeline of a task: its submission, its screening, and every later event."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from safety.models import Receipt
from tasks.changes import ActorKind, EventKind
from tasks.execution.runs.keys import FIRST_STEP
from tasks.execution.runs.moves import ACCEPTED, EXPIRED, REJECTED
from tasks.models import Task
from tasks.states import StepRole, WaitsFor

# A task may be requeued, or get another priority, any number of times.
MAX_EVENTS: Final = 500

SUBMITTED: Final = "submitted"
SCREENED: Final = "screened"


@dataclass(frozen=True)
class Entry:
    """One thing that happened to a task.

    Attributes:
        kind: `SUBMITTED`, `SCREENED` or one of `EventKind`.
        acted: the kind of the actor: client, service or staff.
        actor: the name of the member of staff; empty for other actors.
        reason: as the actor gave it.
        data: `request_id` and `verdict` of a submission; `verdict`, `types`, `redacted_types` and
            `policy_version` of a screening; `from` and `to` of a change of status or priority; of
            what a worker did, those of `run`, `step`, `attempt`, `call`, `arm` and `waits_for` that
            apply; `step` is left out where it is the only one of its run. Of a plan `run`,
            `revision` and `steps`, of a check `run`, `met` and `criteria`, of a decision `outcome`.
    """

    kind: str
    at: datetime
    acted: ActorKind = ActorKind.SERVICE
    actor: str = ""
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def timeline(task: Task) -> list[Entry]:
    """Return the entries of `task`, the oldest first, with its last `MAX_EVENTS` events.

    A task that was inserted by SQL has no screening, and its submission has no request id.
    """
    receipt = task.receipt
    request_id = "" if receipt is None else receipt.request_id
    submitted = Entry(
        SUBMITTED,
        task.created_at,
        ActorKind.CLIENT,
        data={"request_id": request_id, "verdict": task.verdict},
    )
    screened = [] if receipt is None else [_screened(receipt)]
    events = [*reversed(task.events.order_by("-id")[:MAX_EVENTS])]
    several = _runs_of_several_steps([event.data for event in events])
    entries = [
        Entry(
            event.kind,
            event.created_at,
            event.acted,
            event.actor,
            event.reason,
            _without_only_step(event.data, several),
        )
        for event in events
    ]
    return [submitted, *screened, *entries]


def _runs_of_several_steps(data: list[dict[str, Any]]) -> set[int | None]:
    """Return the numbers of the runs in which another step than the first one has an event."""
    return {one.get("run") for one in data if one.get("step", FIRST_STEP) != FIRST_STEP}


def _without_only_step(data: dict[str, Any], several: set[int | None]) -> dict[str, Any]:
    if "step" not in data or data.get("run") in several:
        return data
    return {name: value for name, value in data.items() if name != "step"}


def _screened(receipt: Receipt) -> Entry:
    return Entry(
        SCREENED,
        receipt.created_at,
        data={
            "verdict": receipt.verdict,
            "types": receipt.types,
            "redacted_types": receipt.redacted_types,
            "policy_version": receipt.policy_version,
        },
    )


_DECISIONS: Final = {
    ACCEPTED: "A person accepted the result",
    REJECTED: "A person rejected the result",
    EXPIRED: "Nobody decided in time",
}


def in_words(kind: EventKind, data: dict[str, Any]) -> str:
    """Return what happened, for an event that is not a change of status or priority.

    Args:
        data: of an `Entry`.
    """
    match kind:
        case EventKind.RUN:
            return f"Run {data['run']} began"
        case EventKind.RELEASE:
            return "Released"
        case EventKind.PLAN:
            steps = data["steps"]
            return f"A plan with {steps} {'step' if steps == 1 else 'steps'} was made"
        case EventKind.CHECK:
            return f"The criteria were checked: {data['met']} of {data['criteria']} met"
        case EventKind.DECISION:
            return _DECISIONS[data["outcome"]]
        case EventKind.PARK if data["waits_for"] == WaitsFor.DECISION:
            return "Waits for a decision"
    said = _of_step(kind, data)
    if "step" not in data:
        return said
    role = StepRole(data.get("role", StepRole.EXECUTE))
    place = f"Step {data['step']}" if role is StepRole.EXECUTE else role.label.capitalize()
    return f"{place}: {said[0].lower()}{said[1:]}"


def _of_step(kind: EventKind, data: dict[str, Any]) -> str:
    """Return what happened to a step."""
    match kind:
        case EventKind.CLAIM:
            return f"A worker claimed it: attempt {data['attempt']}"
        case EventKind.CALL:
            return f"Call {data['call']} to arm {data['arm']}"
        case EventKind.RETRY if "call" in data:
            return f"Call {data['call']} brought no answer; it will be tried again"
        case EventKind.RETRY:
            return "Tried again at once"
        case EventKind.PARK:
            return f"Waits for {WaitsFor(data['waits_for']).label}"
        case EventKind.RECOVERY:
            return f"The worker of attempt {data['attempt']} was lost; another one takes over"
        case EventKind.RESULT:
            return "The result came"
    return kind.label.capitalize()
