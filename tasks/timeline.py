"""The timeline of a task: its submission, its screening, and every later event."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from safety.models import Receipt
from tasks.changes import ActorKind, EventKind
from tasks.models import Task
from tasks.states import WaitsFor

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
            apply.
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
    events = [
        Entry(event.kind, event.created_at, event.acted, event.actor, event.reason, event.data)
        for event in reversed(task.events.order_by("-id")[:MAX_EVENTS])
    ]
    return [submitted, *screened, *events]


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


def in_words(kind: EventKind, data: dict[str, Any]) -> str:
    """Return what happened, for an event that is not a change of status or priority."""
    match kind:
        case EventKind.RUN:
            return f"Run {data['run']} began"
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
        case EventKind.RELEASE:
            return "Released"
    return kind.label.capitalize()
