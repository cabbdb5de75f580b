"""gunicorn's master, which does not wait for a worker that somebody has stopped."""

import signal
import time
from pathlib import Path
from typing import Final

from gunicorn.arbiter import Arbiter

# A shell that stops and continues the whole service continues its processes one by one.
STOPPED_SECONDS: Final = 0.4
# gunicorn looks once a second: a request to `/health` that a stopped worker holds would wait longer
# than the second in which probes expect their answer.
LOOK_SECONDS: Final = 0.2


class Master(Arbiter):  # type: ignore[misc]
    """Replaces a worker that is stopped (SIGSTOP), together with the connections that it holds.

    gunicorn replaces it too, like any worker that is silent, after half a minute. A busy one may
    be silent for a while; about a stopped one there is no doubt.
    """

    _stopped_since: dict[int, float] = {}

    def wait_for_signals(self, timeout: float = LOOK_SECONDS) -> list[int]:
        """Return the signals of one turn of the loop."""
        signals: list[int] = super().wait_for_signals(min(timeout, LOOK_SECONDS))
        return signals

    def murder_workers(self) -> None:
        """End workers that hang; called at every turn of the loop."""
        super().murder_workers()
        now = time.monotonic()
        self._stopped_since = {
            pid: self._stopped_since.get(pid, now) for pid in self.WORKERS if _is_stopped(pid)
        }
        for pid, since in self._stopped_since.items():
            if now - since >= STOPPED_SECONDS:
                self.log.error("Worker is stopped, and will be replaced", extra={"pid": pid})
                self.kill_worker(pid, signal.SIGKILL)


def _is_stopped(pid: int) -> bool:
    """Return whether the system says so; only Linux does, in this way."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # After the name, which may hold anything.
    return stat.rpartition(b")")[2].split()[0] == b"T"
