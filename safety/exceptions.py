"""Why there is no verdict.

NoVerdict              the submission can be neither accepted nor refused
├── NotAsked           the circuit is open: the Reflex Layer was not asked
└── TooManyFindings    the Reflex Layer found more than we read: the gate refuses the text
"""

from typing import Final

DEFAULT_RETRY_AFTER_SECONDS: Final = 5


class NoVerdict(Exception):
    """There is no verdict on a text.

    Attributes:
        reason: a few constant words, never text of the Reflex Layer or of a client.
        retry_after_seconds: when another try makes sense, from 1 to an hour.
        duration_seconds: how long it took to learn that; set by the gate.
    """

    duration_seconds = 0.0

    def __init__(
        self, reason: str, *, retry_after_seconds: int = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class NotAsked(NoVerdict):
    """The circuit is open: the Reflex Layer was not asked."""


class TooManyFindings(NoVerdict):
    """The answer names more findings than we read."""
