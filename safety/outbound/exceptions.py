"""Reasons why a call to another service has no usable answer.

CallFailed
├── CircuitOpen        the circuit is open, so the service was not called
├── Cancelled          another thread cancelled the call
├── RateLimited        the service works, but limits our rate
├── Rejected           the service works, but rejects our request
├── AnswerTooLong      the answer exceeds our limits
└── ServiceFault       the service does not work: counts as a failure for its circuit
    ├── Unreachable        the connection failed or broke
    ├── DeadlineExceeded   connection or answer took too long
    ├── ServerFault        the service reports an error of its own
    └── UnusableAnswer     the answer does not follow the protocol
"""

from typing import Final

DEFAULT_RETRY_AFTER_SECONDS: Final = 5
MAX_RETRY_AFTER_SECONDS: Final = 3600


class CallFailed(Exception):
    """There is no usable answer.

    Attributes:
        reason: a short constant phrase, never text from the service or a client.
        retry_after_seconds: how long to wait before another call, from 1 second to an hour.
        was_sent: whether the service may have got the request, or a part of it.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_seconds: float = DEFAULT_RETRY_AFTER_SECONDS,
        was_sent: bool = True,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent
        self.retry_after_seconds = max(1, min(round(retry_after_seconds), MAX_RETRY_AFTER_SECONDS))


class CircuitOpen(CallFailed):
    """The circuit is open, so the service was not called."""


class Cancelled(CallFailed):
    """Another thread cancelled the call, which says nothing about the service."""


class RateLimited(CallFailed):
    """The service limits our rate, with a 429 or with a status in its answer."""


class Rejected(CallFailed):
    """The service answered with a 4xx."""


class AnswerTooLong(CallFailed):
    """The answer exceeds our limits.

    A client's request can cause it, so it does not count as a failure for the circuit.
    """


class ServiceFault(CallFailed):
    """The service does not work as it should."""


class Unreachable(ServiceFault):
    """The connection failed, or broke before the answer was complete."""


class DeadlineExceeded(ServiceFault):
    """The answer was not complete by the deadline."""


class ServerFault(ServiceFault):
    """The service answered with a 5xx, or reports an error in its answer."""


class UnusableAnswer(ServiceFault):
    """The answer does not follow the protocol."""
