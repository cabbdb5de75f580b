"""Processes beside the one that serves: they screen long texts, so that short ones need not wait.

Each works on one request at a time and at a lower priority. One that dies is replaced, and the
request that it worked on is given to another one.
"""

import contextlib
import os
import queue
import signal
import threading
import time
from multiprocessing.connection import Pipe

from .processing import Processed, failed
from .request import Refused
from .template import Template

# The caller gives up after two seconds: what has waited longer is screened for nobody.
LONGEST_WAIT_SECONDS = 1.5
# No text takes as long, so the process hangs.
LONGEST_WORK_SECONDS = 5
# Sooner than gunicorn takes a process that does not serve yet for dead.
LONGEST_START_SECONDS = 20
MOST_TRIES = 2
PAUSE_SECONDS = 1


class Overloaded(Refused):
    """All processes have their hands full."""

    def __init__(self) -> None:
        super().__init__(
            "503 Service Unavailable",
            "OVERLOADED",
            "There are more long texts than can be screened in time.",
            (("Retry-After", "1"),),
        )


class Process:
    """One process and the connection to it, which both ends close when they end."""

    def __init__(self, template: Template) -> None:
        """Raise OSError or EOFError if it does not start."""
        self._connection, theirs = Pipe()
        try:
            with theirs:
                template.fork(theirs)
            if not self._connection.poll(LONGEST_START_SECONDS):
                template.end()
                raise TimeoutError
            self._pid: int = self._connection.recv()
        except (OSError, EOFError):
            self._connection.close()
            raise

    def ask(self, body: bytes, identifier: str) -> Processed:
        """Raise OSError or EOFError if it dies meanwhile, TimeoutError if it hangs."""
        self._connection.send((body, identifier))
        if not self._connection.poll(LONGEST_WORK_SECONDS):
            raise TimeoutError
        processed: Processed = self._connection.recv()
        return processed

    def kill(self) -> None:
        """End it while it hangs, for only then its number is certainly still its own."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close the connection, at which it ends unless it hangs."""
        self._connection.close()


class Pool:
    """As many processes as there are processors, ready before the first request.

    At most `places` requests are with them or wait for them.
    """

    def __init__(self, places: int, template: Template) -> None:
        self._template = template
        self._idle: queue.Queue[Process] = queue.Queue()
        self._places = threading.BoundedSemaphore(places)
        starting = [self._add_process() for _ in range(processors())]
        give_up_at = time.monotonic() + LONGEST_START_SECONDS
        for thread in starting:
            thread.join(max(0, give_up_at - time.monotonic()))

    def process(self, body: bytes, identifier: str) -> Processed:
        """Have a request answered, or raise `Overloaded`."""
        if not self._places.acquire(blocking=False):
            raise Overloaded
        try:
            return self._process(body, identifier)
        finally:
            self._places.release()

    def _process(self, body: bytes, identifier: str) -> Processed:
        give_up_at = time.monotonic() + LONGEST_WAIT_SECONDS
        for _ in range(MOST_TRIES):
            process = self._next_idle(give_up_at)
            try:
                processed = process.ask(body, identifier)
            except TimeoutError:
                process.kill()
                self._add_process()
                break
            except (OSError, EOFError):
                process.close()
                self._add_process()
            else:
                self._idle.put(process)
                return processed
        return failed(identifier)

    def _next_idle(self, give_up_at: float) -> Process:
        try:
            return self._idle.get(timeout=max(0, give_up_at - time.monotonic()))
        except queue.Empty:
            raise Overloaded from None

    def _add_process(self) -> threading.Thread:
        """Start a process; it is ready for requests when the thread has ended."""
        thread = threading.Thread(target=self._start, daemon=True)
        thread.start()
        return thread

    def _start(self) -> None:
        while True:
            try:
                self._idle.put(Process(self._template))
            except (OSError, EOFError):
                time.sleep(PAUSE_SECONDS)
            else:
                return


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
