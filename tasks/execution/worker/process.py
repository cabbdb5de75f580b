"""A worker process: two inner workers of procrastinate, and the threads beside them."""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import Error as DatabaseError
from django.db.models.functions import Now
from procrastinate.contrib.django import app

from safety.gate import Gate
from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm
from tasks.execution import bells
from tasks.execution.claiming.claims import Claims
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.execution.worker.carrying_out import Carrier
from tasks.execution.worker.checks import Checks
from tasks.execution.worker.connector import PatientConnector
from tasks.execution.worker.housekeeping import Housekeeping
from tasks.execution.worker.jobs import RUNTIME, Runtime
from tasks.execution.worker.leases import Leases
from tasks.models import Worker

# For actions of staff and checks of arms.
STAFF_THREADS: Final = 2
STAFF_POLL_SECONDS: Final = 1.0
# A job is announced only if no other one waits. One that came in while the last one was fetched
# waits for the next look.
TASK_POLL_SECONDS: Final = 1.0
# make and a terminal send a signal to the whole group, and pass it on.
SAME_SIGNAL_SECONDS: Final = 2.0
RESTART_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 1.0
# A worker that is cut off for so long ends itself; whoever runs it starts a new one.
MAX_AWAY_SECONDS: Final = 120.0
HEALTHY_SECONDS: Final = 60.0
GIVE_BACK_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a worker works.

    Attributes:
        concurrency: how many steps it works on at once.
        drain_seconds: how long it lets calls end when it is stopped.
        max_cost_usd_per_day: what all calls of a UTC day may cost; None for no limit.
        runs: what operators choose about plans and checks.
    """

    concurrency: int
    drain_seconds: float
    max_cost_usd_per_day: Decimal | None
    version: str
    runs: RunOptions = DEFAULT


class Process:
    """The worker of this process.

    Args:
        adapter_of: returns the adapter for an arm.
        gate: screens what arms answer.
        allowance: bounds how long a thread waits for the database at a time.
    """

    def __init__(
        self,
        options: Options,
        *,
        adapter_of: Callable[[Arm], Adapter],
        gate: Gate,
        allowance: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.id: UUID = uuid4()
        self._options = options
        limit = options.max_cost_usd_per_day
        self.leases = Leases(worker_id=self.id, allowance=allowance)
        self._housekeeping = Housekeeping(
            allowance=allowance, max_cost_usd_per_day=limit, options=options.runs
        )
        self._connector = PatientConnector()
        self._runtime = Runtime(
            Carrier(
                claims=Claims(
                    worker_id=self.id,
                    adapter_of=adapter_of,
                    max_cost_usd_per_day=limit,
                    options=options.runs,
                ),
                leases=self.leases,
                adapter_of=adapter_of,
                gate=gate,
                allowance=allowance,
                options=options.runs,
                wake=self._connector.wake,
            ),
            Checks(adapter_of=adapter_of),
        )
        self._inner: list[asyncio.Task[None]] = []
        self._stopped_at: float | None = None
        self._looped_at = time.monotonic()

    @property
    def is_healthy(self) -> bool:
        """Whether its loop and its threads live, and the database answered lately."""
        now = time.monotonic()
        is_looping = now - self._looped_at < HEALTHY_SECONDS
        is_reached = now - self._reached_at < HEALTHY_SECONDS
        return is_looping and is_reached and self._are_threads_running

    @property
    def open_calls(self) -> int:
        return self.leases.count

    @property
    def _are_threads_running(self) -> bool:
        return self.leases.is_running and self._housekeeping.is_running

    @property
    def _reached_at(self) -> float:
        """When the part that is cut off for the longest time last reached the database."""
        return min(
            self._connector.reached_at, self.leases.reached_at, self._housekeeping.reached_at
        )

    def run(self) -> int:
        """Work until a signal; return the exit status."""
        Worker.objects.create(
            pk=self.id,
            machine=socket.gethostname(),
            process=os.getpid(),
            version=self._options.version,
            concurrency=self._options.concurrency,
        )
        self.leases.start()
        self._housekeeping.start()
        status = asyncio.run(self._work())
        self._housekeeping.stop()
        self.leases.stop()
        Worker.objects.filter(pk=self.id).update(ended_at=Now())
        logger.info("Worker stopped")
        return status

    async def _work(self) -> int:
        loop = asyncio.get_running_loop()
        # procrastinate would run jobs in the default pool, which has a few threads only.
        threads = self._options.concurrency + STAFF_THREADS
        loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="job"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        # Said only now: before, a signal would interrupt the start instead.
        logger.info("Worker started", extra={"concurrency": self._options.concurrency})
        with app.replace_connector(self._connector):
            async with app.open_async():
                self._inner = [
                    asyncio.create_task(self._keep_working(**options))
                    for options in (
                        {
                            "queues": [bells.QUEUE],
                            "concurrency": self._options.concurrency,
                            "fetch_job_polling_interval": TASK_POLL_SECONDS,
                        },
                        {
                            "queues": [bells.STAFF_QUEUE],
                            "concurrency": STAFF_THREADS,
                            "fetch_job_polling_interval": STAFF_POLL_SECONDS,
                            "listen_notify": False,
                        },
                    )
                ]
                watch = asyncio.create_task(self._watch())
                await asyncio.wait(self._inner)
                watch.cancel()
        return 0

    async def _keep_working(self, **options: Any) -> None:
        """Run an inner worker, and start it anew if it ends by itself."""
        while self._stopped_at is None:
            try:
                await app.run_worker_async(
                    install_signal_handlers=False,
                    delete_jobs="always",
                    additional_context={RUNTIME: self._runtime},
                    **options,
                )
            except asyncio.CancelledError:
                return
            except Exception:
                logger.exception("An inner worker ended unexpectedly")
            await asyncio.sleep(RESTART_SECONDS)

    def _on_signal(self) -> None:
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            logger.info("Worker stops", extra={"open_calls": self.leases.count})
            for inner in self._inner:
                inner.cancel()
        elif now - self._stopped_at > SAME_SIGNAL_SECONDS:
            self._leave("Worker ends at once")

    async def _watch(self) -> None:
        """End the process if its drain takes too long, or if it is cut off from the database."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self._looped_at = time.monotonic()
            if self._stopped_at is not None:
                if now - self._stopped_at > self._options.drain_seconds:
                    self._leave("Calls did not end in time")
            elif now - self._reached_at > MAX_AWAY_SECONDS:
                self._leave("The database was away for too long", status=1)
            elif not self._are_threads_running:
                self._leave("A thread of the worker ended", status=1)

    def _leave(self, why: str, *, status: int = 0) -> None:
        """Give the leases back, so that others go on at once, and end without waiting for calls."""
        logger.warning(why, extra={"open_calls": self.leases.count})
        try:
            # Django allows no statements in the thread of the loop.
            giving_back = threading.Thread(target=self._give_back, daemon=True)
            giving_back.start()
            giving_back.join(GIVE_BACK_SECONDS)
        finally:
            logging.shutdown()
            # Threads that wait for an answer would keep the process alive.
            os._exit(status)

    def _give_back(self) -> None:
        # Its thread would renew them again.
        self.leases.stop()
        try:
            self.leases.give_back()
            Worker.objects.filter(pk=self.id).update(ended_at=Now())
        except DatabaseError:
            logger.warning("Leases not given back: the database did not answer")
