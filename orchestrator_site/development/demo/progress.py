"""How far a long command has come."""

import time
from collections.abc import Callable
from typing import Final

BAR_CHARACTERS: Final = 30
# Where nothing can be drawn over, a line now and then has to do.
LINE_SECONDS: Final = 5


class Progress:
    """A bar on a terminal, plain lines elsewhere.

    Args:
        total: of what is being done.
        name: of it.
        clock: seconds that pass.
    """

    def __init__(
        self,
        total: int,
        name: str,
        *,
        is_terminal: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._name = name
        self._is_terminal = is_terminal
        self._clock = clock
        self._started_at = self._told_at = clock()

    def after(self, done: int) -> str:
        """Return what is to be written after so many, line ends included."""
        now = self._clock()
        rate = done / max(now - self._started_at, 0.001)
        left = round((self._total - done) / rate)
        words = (
            f"{done:,} of {self._total:,} {self._name}, {rate:,.0f}/s, "
            f"{left // 60}:{left % 60:02} left"
        )
        is_over = done >= self._total
        if self._is_terminal:
            filled = BAR_CHARACTERS * done // self._total
            bar = "█" * filled + "░" * (BAR_CHARACTERS - filled)
            # Drawn over the last one, and over what is left of it.
            return f"\r{bar} {words}\033[K" + "\n" * is_over
        if not is_over and now - self._told_at < LINE_SECONDS:
            return ""
        self._told_at = now
        return f"{words}\n"
