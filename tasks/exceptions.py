"""What can stand in the way of a task; none of them knows HTTP."""

from uuid import UUID

from safety.findings import Kind
from tasks.states import Priority, Status


class SubmissionBlocked(Exception):
    """The gate refuses the submission.

    Attributes:
        kinds: the kinds of finding that block it; empty where the Reflex Layer blocks and
            names none.
        reason: why, in a few constant words, where no finding says so; else empty.
    """

    def __init__(self, kinds: frozenset[Kind], reason: str = "") -> None:
        super().__init__("submission blocked")
        self.kinds = kinds
        self.reason = reason


class InvalidTransition(Exception):
    """The task is not in a status from which it may enter the wanted one."""

    def __init__(self, task_id: UUID, wanted: Status) -> None:
        super().__init__(f"task {task_id} cannot become {wanted}")
        self.task_id = task_id
        self.wanted = wanted


class PriorityNotChanged(Exception):
    """The task is not pending any more, or has the wanted priority already."""

    def __init__(self, task_id: UUID, wanted: Priority) -> None:
        super().__init__(f"task {task_id} cannot get the priority {wanted}")
        self.task_id = task_id
        self.wanted = wanted
