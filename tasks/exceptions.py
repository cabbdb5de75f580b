"""Errors of tasks; none of them knows HTTP."""

from uuid import UUID

from safety.findings import Kind
from tasks.states import Priority, Status


class SubmissionBlocked(Exception):
    """The gate refuses the submission.

    Attributes:
        kinds: the kinds of finding that block it; empty if the Reflex Layer blocks it without
            naming a finding.
        reason: a few constant words if no finding explains the refusal; else empty.
        is_replayed: whether this is the answer to an earlier request with the same idempotency
            key.
    """

    def __init__(
        self, kinds: frozenset[Kind], reason: str = "", *, is_replayed: bool = False
    ) -> None:
        super().__init__("submission blocked")
        self.kinds = kinds
        self.reason = reason
        self.is_replayed = is_replayed


class ClaimLost(Exception):
    """Another request with the same idempotency key stored its answer first."""


class InvalidTransition(Exception):
    """The status of the task does not allow the wanted one.

    Attributes:
        current: the status of the task, None if it is not known.
    """

    def __init__(self, task_id: UUID, wanted: Status, current: Status | None = None) -> None:
        super().__init__(f"task {task_id} cannot become {wanted}")
        self.task_id = task_id
        self.wanted = wanted
        self.current = current


class DecisionTaken(Exception):
    """Somebody else has decided about the result, or its task has ended."""

    def __init__(self, task_id: UUID) -> None:
        super().__init__(f"task {task_id} waits for no decision")
        self.task_id = task_id


class PriorityNotChanged(Exception):
    """The task is no longer pending, or already has the wanted priority."""

    def __init__(self, task_id: UUID, wanted: Priority) -> None:
        super().__init__(f"task {task_id} cannot get the priority {wanted}")
        self.task_id = task_id
        self.wanted = wanted
