"""Ctrl-C and SIGTERM as KeyboardInterrupt, also where Python drops that exception.

Python prints and drops an exception that is raised in a finalizer. A signal that arrives in that
moment would have no effect, so long waits ask `check` as well.
"""

import sys
from typing import Any

_received = False


def interrupt(*_: object) -> None:
    """Handle a signal that stops the process."""
    global _received
    _received = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt if a signal has arrived."""
    if _received:
        raise KeyboardInterrupt


def report_unraisable(unraisable: Any) -> None:
    """Print an exception that Python drops, except a KeyboardInterrupt, which `check` repeats."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
