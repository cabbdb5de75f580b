"""How long a request may wait for the database, summed over its statements."""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Allowance:
    """The seconds that one request may still wait for the database."""

    seconds_left: float
    _started_at: float = field(default=0.0, repr=False)

    def __enter__(self) -> None:
        self._started_at = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds_left -= time.monotonic() - self._started_at


# Commands such as `migrate` have no allowance and wait without a limit.
_allowance: ContextVar[Allowance | None] = ContextVar("database_allowance", default=None)


def current_allowance() -> Allowance | None:
    """Return the allowance of the current request, None outside of a request."""
    return _allowance.get()


@contextlib.contextmanager
def database_allowance(seconds: float) -> Iterator[None]:
    """Let the block wait for the database at most `seconds` in total."""
    token = _allowance.set(Allowance(seconds))
    try:
        yield
    finally:
        _allowance.reset(token)
