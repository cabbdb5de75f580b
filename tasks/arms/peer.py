"""HTTP with an arm, in the exceptions of arms."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from safety.outbound.exceptions import CallFailed
from safety.outbound.service import Endpoint, Reply, Service
from safety.outbound.transport import Deadline
from tasks.arms.description import Arm, Health
from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    Refused,
)

MAX_ANSWER_BYTES: Final = 1_048_576
# For an arm that says later, but not when.
DEFAULT_RETRY_AFTER_SECONDS: Final = 5
MAX_RETRY_AFTER_SECONDS: Final = 3_600
LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# Whoever answers these does not know us or this address, or sends the work to another address,
# which is never followed.
UNKNOWN_TO_THE_ARM: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


class Peer:
    """An arm's address and secret."""

    def __init__(self, arm: Arm, secret: str) -> None:
        self._service = Service(
            url=arm.url,
            connections=arm.room,
            max_answer_bytes=MAX_ANSWER_BYTES,
            rate_limit_seconds=DEFAULT_RETRY_AFTER_SECONDS,
            # The ledger of calls is the one place that retries.
            retries=0,
            # A kept connection that the arm has just closed makes an outcome unknown. An idempotent
            # arm gets the request again then; for others, each call has a connection of its own.
            keeps_connections=arm.is_idempotent,
        )
        self._headers = {} if arm.is_idempotent else {"Connection": "close"}
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"

    def endpoint(self, method: str, path: str) -> Endpoint:
        return self._service.endpoint(method, path)

    def send(
        self, endpoint: Endpoint, body: bytes, *, key: UUID, request_id: str, deadline: Deadline
    ) -> Reply:
        """Send a body once.

        Raises:
            NotSent, OutcomeUnknown: there is no complete answer.
        """
        headers = {**self._headers, "Idempotency-Key": str(key)}
        if request_id:
            headers["X-Request-ID"] = request_id
        try:
            return self._service.ask(endpoint, deadline=deadline, body=body, headers=headers)
        except CallFailed as failure:
            kind = OutcomeUnknown if failure.was_sent else NotSent
            raise kind(failure.reason) from failure

    def check(self, endpoint: Endpoint, *, deadline: Deadline) -> Health | bytes:
        """Return the body of a 200 answer, or what another answer says about the arm's health."""
        try:
            reply = self._service.ask(endpoint, deadline=deadline, headers=self._headers)
        except CallFailed:
            return Health.DOWN
        if reply.status in UNKNOWN_TO_THE_ARM:
            return Health.MISCONFIGURED
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Health.DEGRADED
        if reply.status != HTTPStatus.OK or reply.body is None:
            return Health.DOWN
        return reply.body


def error_of(reply: Reply) -> ArmError:
    """Return what an answer without a result means, if only its status says something."""
    status = reply.status
    if status == HTTPStatus.OK:
        return Failed("answer too long")
    if status in UNKNOWN_TO_THE_ARM:
        return Misconfigured(f"answered {status}")
    if status in LATER:
        wait = DEFAULT_RETRY_AFTER_SECONDS
        if reply.retry_after_seconds is not None:
            wait = min(reply.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
        return Refused(f"answered {status}", is_retryable=True, retry_after_seconds=wait)
    if status in range(400, 500) and status != HTTPStatus.REQUEST_TIMEOUT:
        return Refused(f"answered {status}")
    return OutcomeUnknown(f"answered {status}")
