"""gunicorn's master, which quickly replaces a worker that was stopped by SIGSTOP."""

import signal
import time
from pathlib import Path
from typing import Final

from gunicorn.arbiter import Arbiter

# A shorter stop is no reason to replace a worker: a shell that stops and continues the whole
# service continues its processes one by one.
STOPPED_SECONDS: Final = 0.4
# gunicorn checks its workers once a second. A stopped worker could then hold a request to `/health`
# for longer than the usual timeout of a probe, which is a second.
LOOK_SECONDS: Final = 0.2


class Master(Arbiter):  # type: ignore[misc]
    """Replaces a worker that is stopped (SIGSTOP), together with the connections that it holds.

    gunicorn itself replaces it only after half a minute, like any silent worker, because a worker
    may be silent while it is busy. A stopped worker is not busy, so there is no need to wait.
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
    """Return whether the process is stopped; False on systems without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The state follows the name, which may contain anything.
    return stat.rpartition(b")")[2].split()[0] == b"T"
