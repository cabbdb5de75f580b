"""A thread of each worker that wakes steps, looks for lost work, and has arms asked for health."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Final

from django.db import Error as DatabaseError
from django.db import connection

from tasks.execution import bells
from tasks.execution.parked import UsedToday, ring_parked, used_today
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.execution.worker.recovery import EVERY_SECONDS, Reconciler

TICK_SECONDS: Final = 1.0
HEALTH_EVERY_SECONDS: Final = 15
MAX_WOKEN: Final = 100

_WAKE: Final = f"""
    WITH due AS (
        SELECT id FROM steps WHERE wake_at <= clock_timestamp()
        ORDER BY wake_at LIMIT {MAX_WOKEN}
        FOR NO KEY UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE steps SET wake_at = NULL FROM due WHERE steps.id = due.id
        RETURNING steps.id, rank
    )
    {bells.ring_steps("SELECT id, rank FROM woken")}
"""
_CHECK_ARMS: Final = f"""
    WITH due AS (
        UPDATE arms SET checked_at = clock_timestamp()
        WHERE is_enabled AND health <> 'misconfigured' AND (
            checked_at IS NULL
            OR checked_at < clock_timestamp() - interval '{HEALTH_EVERY_SECONDS} seconds'
        )
        RETURNING name
    )
    {bells.ring_checks("SELECT name FROM due")}
"""

logger = logging.getLogger(__name__)


class Housekeeping:
    """The thread.

    Args:
        allowance: bounds how long the thread waits for the database at each tick.
        max_cost_usd_per_day: what all calls of a UTC day may cost; None for no limit.
        options: what operators choose about plans and checks.
    """

    def __init__(
        self,
        *,
        allowance: Callable[[], AbstractContextManager[None]],
        max_cost_usd_per_day: Decimal | None,
        options: RunOptions = DEFAULT,
    ) -> None:
        self._allowance = allowance
        self._max_cost_usd_per_day = max_cost_usd_per_day
        self._reconciler = Reconciler(options)
        self._reconciled_at = 0.0
        self._used_today: UsedToday | None = None
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self.reached_at = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join(TICK_SECONDS)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def tick(self) -> None:
        """Do what is due."""
        with self._allowance():
            with connection.cursor() as cursor:
                cursor.execute(_WAKE)
                cursor.execute(_CHECK_ARMS)
            ring_parked(with_budget=self._is_budget_due())
        now = time.monotonic()
        if now - self._reconciled_at >= EVERY_SECONDS:
            self._reconciled_at = now
            with self._allowance():
                self._reconciler.reconcile(now=now)
        self.reached_at = time.monotonic()

    def _is_budget_due(self) -> bool:
        """Return whether to ring steps that wait for the budget of the day.

        What is left may be too little for all of them, so they are rung only after a change.
        """
        limit = self._max_cost_usd_per_day
        if limit is None:
            return True
        before, self._used_today = self._used_today, used_today()
        return self._used_today != before and self._used_today.cost_usd < limit

    def _run(self) -> None:
        is_away = False
        while not self._is_stopping.wait(TICK_SECONDS):
            try:
                self.tick()
                is_away = False
            except DatabaseError:
                if not is_away:
                    logger.warning("Work not looked for: the database did not answer")
                is_away = True
                connection.close()
        connection.close()
