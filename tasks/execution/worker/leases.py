"""The leases of a worker: a thread renews them, and learns which attempts are dead.

It is a thread of its own, so that a slow call or a busy pool of threads never costs a lease.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection

from safety.outbound.transport import Deadline
from tasks.execution.claiming.taking import LEASE_SECONDS

CHECK_SECONDS: Final = 1.0
# In checks.
RENEW_EVERY: Final = 5

_ALIVE: Final = "SELECT id FROM attempts WHERE id = ANY(%(ids)s) AND ended_at IS NULL"
# An attempt that is locked is just being ended. To wait for it would cost the other leases time,
# and several attempts of one task could wait for each other.
_RENEW: Final = f"""
    WITH renewed AS (
        UPDATE attempts SET lease_until = clock_timestamp() + make_interval(secs => {LEASE_SECONDS})
        WHERE id IN ({_ALIVE} FOR NO KEY UPDATE SKIP LOCKED)
    )
    {_ALIVE}
"""
_SEEN: Final = "UPDATE workers SET seen_at = clock_timestamp() WHERE id = %s"
_GIVE_BACK: Final = """
    UPDATE attempts SET lease_until = clock_timestamp()
    WHERE id = ANY(%s) AND ended_at IS NULL
"""

logger = logging.getLogger(__name__)


class Holding:
    """An attempt that this worker works on, with its running call."""

    def __init__(self, attempt_id: int) -> None:
        self.attempt_id = attempt_id
        self._is_dead = threading.Event()
        self._lock = threading.Lock()
        self._deadline: Deadline | None = None

    def begin_call(self, deadline: Deadline) -> None:
        """Let the end of the attempt cancel the call with this deadline, even if it has come."""
        with self._lock:
            self._deadline = deadline
            if self._is_dead.is_set():
                deadline.cancel()

    @property
    def is_dead(self) -> bool:
        return self._is_dead.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the attempt is dead; return whether it is."""
        return self._is_dead.wait(seconds)

    def end(self) -> None:
        """The attempt is dead: nothing that it brings can be stored."""
        with self._lock:
            self._is_dead.set()
            if self._deadline is not None:
                self._deadline.cancel()


class Leases:
    """The attempts that a worker holds.

    Args:
        allowance: bounds how long the thread waits for the database at each check.
    """

    def __init__(
        self, *, worker_id: UUID, allowance: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._worker_id = worker_id
        self._allowance = allowance
        self._held: dict[int, Holding] = {}
        self._lock = threading.Lock()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self.reached_at = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join(CHECK_SECONDS)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def count(self) -> int:
        return len(self._held)

    @contextlib.contextmanager
    def held(self, attempt_id: int) -> Iterator[Holding]:
        """Renew the lease of an attempt while the block runs."""
        holding = Holding(attempt_id)
        with self._lock:
            self._held[attempt_id] = holding
        try:
            yield holding
        finally:
            with self._lock:
                del self._held[attempt_id]

    def give_back(self) -> int:
        """Let other workers take over all that is held; return how many attempts these are."""
        with self._lock:
            ids = [*self._held]
        if ids:
            with self._allowance(), connection.cursor() as cursor:
                cursor.execute(_GIVE_BACK, [ids])
        return len(ids)

    def check(self, *, renews: bool) -> None:
        """Renew the leases or only look at them, and end the attempts that are dead."""
        with self._lock:
            held = dict(self._held)
        with self._allowance(), connection.cursor() as cursor:
            if renews:
                cursor.execute(_SEEN, [self._worker_id])
            if held:
                cursor.execute(_RENEW if renews else _ALIVE, {"ids": [*held]})
                alive = {attempt_id for (attempt_id,) in cursor.fetchall()}
                for attempt_id in held.keys() - alive:
                    held[attempt_id].end()
        if held or renews:
            self.reached_at = time.monotonic()

    def _run(self) -> None:
        checks = 0
        is_away = False
        while not self._is_stopping.wait(CHECK_SECONDS):
            try:
                self.check(renews=is_away or checks % RENEW_EVERY == 0)
                is_away = False
            except DatabaseError:
                if not is_away:
                    logger.warning("Leases not renewed: the database did not answer")
                is_away = True
                connection.close()
            checks += 1
        connection.close()
