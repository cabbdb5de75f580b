"""Why a call to another service has no usable answer.

CallFailed
├── CircuitOpen        the service was not called
├── RateLimited        the service works, but answers later
├── Rejected           the service works, and finds fault with our request
├── AnswerTooLong      the answer holds more than we read
└── ServiceFault       speaks against the service's health: counts for its circuit
    ├── Unreachable        no connection, or it broke
    ├── DeadlineExceeded   connection or answer took too long
    ├── ServerFault        the service itself says that it failed
    └── UnusableAnswer     the answer is not in the protocol
"""

from typing import Final

DEFAULT_RETRY_AFTER_SECONDS: Final = 5
MAX_RETRY_AFTER_SECONDS: Final = 3600


class CallFailed(Exception):
    """There is no usable answer.

    Attributes:
        reason: a few constant words, never text of the service or of a client.
        retry_after_seconds: when another call makes sense, from 1 to an hour.
    """

    def __init__(
        self, reason: str, *, retry_after_seconds: float = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = max(1, min(round(retry_after_seconds), MAX_RETRY_AFTER_SECONDS))


class CircuitOpen(CallFailed):
    """The circuit is open: the service was not called."""


class RateLimited(CallFailed):
    """The service limits its rate, by a 429 or in its own words."""


class Rejected(CallFailed):
    """The service answered with a 4xx."""


class AnswerTooLong(CallFailed):
    """The answer holds more than we read.

    A client can cause it by its request, and must not be able to open the circuit with it.
    """


class ServiceFault(CallFailed):
    """The service does not work as it should."""


class Unreachable(ServiceFault):
    """No connection could be made, or it broke before the answer was whole."""


class DeadlineExceeded(ServiceFault):
    """The answer was not whole by the deadline."""


class ServerFault(ServiceFault):
    """The service answered with a 5xx, or says in its own words that it failed."""


class UnusableAnswer(ServiceFault):
    """The answer is not what the protocol says."""
