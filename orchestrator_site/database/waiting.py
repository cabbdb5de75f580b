"""How long a request may wait for the database, all its statements together."""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Allowance:
    """What is left of the seconds that one request may wait for the database."""

    seconds_left: float
    _started_at: float = field(default=0.0, repr=False)

    def __enter__(self) -> None:
        self._started_at = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds_left -= time.monotonic() - self._started_at


# Commands such as `migrate` have none and may take their time.
_allowance: ContextVar[Allowance | None] = ContextVar("database_allowance", default=None)


def current_allowance() -> Allowance | None:
    """Return the allowance of the request under way, or None outside of one."""
    return _allowance.get()


@contextlib.contextmanager
def database_allowance(seconds: float) -> Iterator[None]:
    """Let the code within wait for the database at most `seconds` in all."""
    token = _allowance.set(Allowance(seconds))
    try:
        yield
    finally:
        _allowance.reset(token)
