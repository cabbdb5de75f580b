"""Reasons for a missing verdict.

NoVerdict              the text can be neither accepted nor refused
├── NotAsked           the circuit is open, so the Reflex Layer was not called
└── TooManyFindings    the answer exceeds our limits, so the gate refuses the text
"""

from typing import Final

DEFAULT_RETRY_AFTER_SECONDS: Final = 5


class NoVerdict(Exception):
    """There is no verdict on a text.

    Attributes:
        reason: a short constant phrase, never text from the Reflex Layer or a client.
        retry_after_seconds: how long to wait before a retry, from 1 second to an hour.
        duration_seconds: how long the failed screening took; set by the gate.
    """

    duration_seconds = 0.0

    def __init__(
        self, reason: str, *, retry_after_seconds: int = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class NotAsked(NoVerdict):
    """The circuit is open, so the Reflex Layer was not called."""


class TooManyFindings(NoVerdict):
    """The answer has more findings than we read."""
