"""The interface that the adapters of both protocols share."""

from typing import Protocol
from uuid import UUID

from safety.outbound.transport import Deadline
from tasks.arms.description import Capability, Health
from tasks.arms.work import Answer, Request, Work


class Adapter(Protocol):
    """Calls one arm; safe to share between threads."""

    def request(self, work: Work) -> Request:
        """Return the request for some work; it is the same each time.

        Raises:
            TooLittleBudget: what is left of the budget does not allow a useful answer.
        """
        ...

    def call(
        self,
        body: bytes,
        *,
        capability: Capability,
        key: UUID,
        subject_id: UUID,
        request_id: str = "",
        deadline: Deadline,
    ) -> Answer:
        """Send the body of a request once, and return the answer.

        Args:
            capability: that of the work; it decides where the body goes and what an answer is.
            key: the key of the work, which the arm gets as `Idempotency-Key`.
            subject_id: the subject of the work, which the answer has to be about.
            request_id: for the logs of both sides.
            deadline: for the whole call; another thread may cancel it.

        Raises:
            ArmError: there is no answer; see `tasks.arms.exceptions`.
        """
        ...

    def check(self, *, deadline: Deadline) -> Health:
        """Ask the arm how it is."""
        ...
