"""What processes take: time of the processor, and memory."""

import contextlib
import time

import psutil

from tests.service import Service

IDLE_WAIT_SECONDS = 10
IDLE_LOOK_SECONDS = 0.2
# Of one processor. Gunicorn's looking after its workers takes less.
IDLE_SHARE = 0.1


def processor_seconds(main: psutil.Process) -> float:
    """Return what `main` and its children have taken, those that have ended included."""
    seconds = 0.0
    for process in [main, *main.children(recursive=True)]:
        # One that ends meanwhile is among the ended ones of its parent next time.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def wait_until_idle(main: psutil.Process) -> None:
    """Wait until `main` and its children have next to nothing to do, but not for ever."""
    give_up_at = time.monotonic() + IDLE_WAIT_SECONDS
    taken = processor_seconds(main)
    while time.monotonic() < give_up_at:
        time.sleep(IDLE_LOOK_SECONDS)
        before, taken = taken, processor_seconds(main)
        if taken - before < IDLE_SHARE * IDLE_LOOK_SECONDS:
            return


def bytes_by_worker(service: Service) -> dict[int, int]:
    """Return the memory that is each worker's own (USS), by its process id."""
    return {worker.pid: worker.memory_full_info().uss for worker in service.workers}
