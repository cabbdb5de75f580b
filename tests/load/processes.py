"""CPU time and memory of processes."""

import contextlib
import time

import psutil

from tests.service import Service

IDLE_WAIT_SECONDS = 10
IDLE_LOOK_SECONDS = 0.2
# Of one processor. gunicorn's checks of its workers take less.
IDLE_SHARE = 0.1


def processor_seconds(main: psutil.Process) -> float:
    """Return the CPU time of `main` and its children, including ended children."""
    seconds = 0.0
    for process in [main, *main.children(recursive=True)]:
        # A process that ends meanwhile is counted next time, as an ended child of its parent.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def wait_until_idle(main: psutil.Process) -> None:
    """Wait until `main` and its children are almost idle, but at most for some seconds."""
    give_up_at = time.monotonic() + IDLE_WAIT_SECONDS
    taken = processor_seconds(main)
    while time.monotonic() < give_up_at:
        time.sleep(IDLE_LOOK_SECONDS)
        before, taken = taken, processor_seconds(main)
        if taken - before < IDLE_SHARE * IDLE_LOOK_SECONDS:
            return


def bytes_by_worker(service: Service) -> dict[int, int]:
    """Return the memory that each worker does not share (USS), by process id."""
    return {worker.pid: worker.memory_full_info().uss for worker in service.workers}
