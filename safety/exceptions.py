"""Why there is no verdict.

NoVerdict              the submission can be neither accepted nor refused
├── CircuitOpen        the Reflex Layer was not asked
├── RateLimited        the Reflex Layer is well, but will not answer now
├── RequestRejected    the Reflex Layer is well, and finds fault with our request
├── TooManyFindings    it found more than we read: the gate refuses the text
└── ReflexFailure      speaks against the Reflex Layer's health: counts for the circuit
    ├── Unreachable        no connection, or it broke
    ├── DeadlineExceeded   connection or answer took too long
    ├── ServerFault        it says itself that it failed
    └── UnusableAnswer     an answer that is not in the protocol
"""

DEFAULT_RETRY_AFTER_SECONDS = 5
MAX_RETRY_AFTER_SECONDS = 3600


class NoVerdict(Exception):
    """There is no verdict on a text.

    Attributes:
        reason: what happened, in a few constant words; never text of a peer or a client.
        retry_after_seconds: when it makes sense to try again, from 1 to an hour.
        duration_seconds: how long it took to learn that; set by the gate.
    """

    duration_seconds = 0.0

    def __init__(
        self, reason: str, *, retry_after_seconds: float = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = max(1, min(round(retry_after_seconds), MAX_RETRY_AFTER_SECONDS))


class CircuitOpen(NoVerdict):
    """The circuit is open: the Reflex Layer was not asked."""


class RateLimited(NoVerdict):
    """The Reflex Layer limits its rate; its limiter sends 200, 429 or both."""


class RequestRejected(NoVerdict):
    """The Reflex Layer answered with a 4xx."""


class TooManyFindings(NoVerdict):
    """The answer names more findings than we read.

    A client can cause it with a text full of findings, and must not be able to open the circuit
    with it.
    """


class ReflexFailure(NoVerdict):
    """The Reflex Layer does not work as it should."""


class Unreachable(ReflexFailure):
    """No connection could be made, or it broke before the answer was whole."""


class DeadlineExceeded(ReflexFailure):
    """The screening was not over by its deadline."""


class ServerFault(ReflexFailure):
    """The Reflex Layer answered with a 5xx or the status `error`."""


class UnusableAnswer(ReflexFailure):
    """The answer is no JSON, or not what the protocol says."""
