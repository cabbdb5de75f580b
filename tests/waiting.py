"""Waiting for another thread or process."""

import threading
import time
from collections.abc import Callable

from safety.outbound.circuit import PROBE_THREAD

WAIT_SECONDS = 10
_PAUSE_SECONDS = 0.005


def wait_until(condition: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Return as soon as `condition` is true; fail if it is not in time."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "the condition did not become true in time"
        threading.Event().wait(_PAUSE_SECONDS)


def wait_for_probes() -> None:
    """Return when no circuit of this process is probing."""
    wait_until(lambda: PROBE_THREAD not in {thread.name for thread in threading.enumerate()})
