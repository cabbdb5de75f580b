"""The timeline of a task: its submission, its screening, and every later event."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from safety.models import Receipt
from tasks.changes import ActorKind
from tasks.models import Task

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
            `policy_version` of a screening; `from` and `to` of an event.
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
