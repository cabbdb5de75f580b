"""A pool of processes that screen long texts, so that short texts need not wait.

Each process handles one request at a time, at a lower priority than the server. A process that
dies is replaced, and its request is given to another process.
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

# Callers give up soon after this, so screening a request that waited longer would be useless.
LONGEST_WAIT_SECONDS = 1.5
# No text takes this long, so the process must be hanging.
LONGEST_WORK_SECONDS = 5
# Shorter than gunicorn's timeout for a worker that does not serve yet.
LONGEST_START_SECONDS = 20
MOST_TRIES = 2
PAUSE_SECONDS = 1


class Overloaded(Refused):
    """All processes are busy."""

    def __init__(self) -> None:
        super().__init__(
            "503 Service Unavailable",
            "OVERLOADED",
            "Too many long texts are waiting to be screened.",
            (("Retry-After", "1"),),
        )


class Process:
    """One process and the connection to it. Either side closes the connection when it ends."""

    def __init__(self, template: Template) -> None:
        """Start the process, or raise OSError or EOFError."""
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
        """Have a request answered by the process.

        Raises:
            TimeoutError: the process hangs.
            OSError, EOFError: the process died.
        """
        self._connection.send((body, identifier))
        if not self._connection.poll(LONGEST_WORK_SECONDS):
            raise TimeoutError
        processed: Processed = self._connection.recv()
        return processed

    def kill(self) -> None:
        """Kill the process while it hangs; once it has ended, its PID may be reused."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close the connection, which ends the process unless it hangs."""
        self._connection.close()


class Pool:
    """One process for each processor, ready before the first request.

    At most `slots` requests are in progress or waiting.
    """

    def __init__(self, slots: int, template: Template) -> None:
        self._template = template
        self._idle: queue.Queue[Process] = queue.Queue()
        self._slots = threading.BoundedSemaphore(slots)
        starting = [self._add_process() for _ in range(processors())]
        give_up_at = time.monotonic() + LONGEST_START_SECONDS
        for thread in starting:
            thread.join(max(0, give_up_at - time.monotonic()))

    def process(self, body: bytes, identifier: str) -> Processed:
        """Have a request answered by one of the processes, or raise `Overloaded`."""
        if not self._slots.acquire(blocking=False):
            raise Overloaded
        try:
            return self._process(body, identifier)
        finally:
            self._slots.release()

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
        """Start a process in a thread. When the thread has ended, the process is ready."""
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
