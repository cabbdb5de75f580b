"""Finding what got lost, and ringing it again: the reconciler.

A thread of every worker runs it every few seconds, and a lock lets one of them work at a time. It
reads our tables only, but for the question whether a step has a bell.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection, transaction

from tasks.execution import bells, counting
from tasks.execution.claiming import taking
from tasks.execution.claiming.opening import open_step
from tasks.execution.failures import FailureCode
from tasks.execution.runs.decisions import expire
from tasks.execution.runs.options import DEFAULT, RunOptions

EVERY_SECONDS: Final = 5
BATCH: Final = 1_000
# Without a look for so long, it was cut off from the database, and other workers may have been.
AWAY_SECONDS: Final = 2 * EVERY_SECONDS
# After the database was away, workers get this time to renew their leases and heartbeats.
QUIET_SECONDS: Final = 10
# A claim, a call and an end follow one another at once; only what stays for longer is lost.
_SETTLED_FOR: Final = "interval '10 seconds'"
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('orchestrator'), hashtext('reconciler'))"
_IS_QUIET: Final = f"""
    SELECT pg_postmaster_start_time() > clock_timestamp() - interval '{QUIET_SECONDS} seconds'
"""
_HAS_NO_BELL: Final = """
    NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = {id}::text AND status = 'todo'
    )
"""
_EXPIRED: Final = bells.ring_steps("""
    SELECT steps.id, rank FROM attempts JOIN steps ON steps.id = step_id
    WHERE attempts.ended_at IS NULL AND lease_until < clock_timestamp() AND state = 'running'
    LIMIT %(batch)s
""")
# The next steps in the order of their ids; after the last one it begins anew.
_READY: Final = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT id, rank, created_at FROM steps
        WHERE state = 'ready' AND wake_at IS NULL AND waits_for IS NULL AND id > %(after)s
        ORDER BY id LIMIT %(batch)s
    ), rung AS ({bells.ring_steps("SELECT id, rank FROM looked_at")} RETURNING id)
    SELECT (SELECT max(id::text) FROM looked_at), (SELECT count(*) FROM looked_at),
        (SELECT count(*) FROM rung)
"""
_PENDING: Final = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT id, created_at FROM tasks
        WHERE status = 'pending' AND (created_at, id) > (%(after_time)s, %(after_id)s)
            AND created_at < clock_timestamp() - {_SETTLED_FOR}
        ORDER BY created_at, id LIMIT %(batch)s
    ), missing AS (
        SELECT id FROM looked_at
        WHERE NOT EXISTS (SELECT 1 FROM runs WHERE task_id = looked_at.id AND ended_at IS NULL)
            AND {_HAS_NO_BELL.format(id="looked_at.id")}
    )
    SELECT count(*), (SELECT array_agg(id) FROM missing),
        (array_agg(created_at ORDER BY created_at DESC, id DESC))[1],
        (array_agg(id ORDER BY created_at DESC, id DESC))[1]
    FROM looked_at
"""
_ORPHANED: Final = f"""
    WITH orphans AS (
        SELECT id FROM steps
        WHERE state = 'running' AND NOT EXISTS (
            SELECT 1 FROM attempts WHERE step_id = steps.id AND ended_at IS NULL
        )
        LIMIT %(batch)s
        FOR NO KEY UPDATE SKIP LOCKED
    ), freed AS (
        UPDATE steps SET state = 'ready' FROM orphans WHERE steps.id = orphans.id
        RETURNING steps.id, rank
    )
    {bells.ring_steps("SELECT id, rank FROM freed")}
"""
# The parked time of a run does not count. A worker that has the step ends it by itself; this is for
# those that nobody has.
_OVER: Final = f"""
    SELECT steps.id FROM runs JOIN steps ON steps.run_id = runs.id
    WHERE runs.ended_at IS NULL AND ends_at < clock_timestamp() - {_SETTLED_FOR}
        AND state = 'ready' AND waits_for IS NULL
    LIMIT %(batch)s
"""
# Bells that a worker has taken and that died with it, before it could claim anything.
_DEAD_BELLS: Final = f"""
    WITH dead AS (
        DELETE FROM procrastinate_jobs WHERE id IN (
            SELECT jobs.id FROM procrastinate_jobs AS jobs
            LEFT JOIN procrastinate_workers AS workers ON workers.id = jobs.worker_id
            WHERE jobs.status = 'doing' AND (
                workers.id IS NULL
                OR workers.last_heartbeat < clock_timestamp() - interval '60 seconds'
            )
            LIMIT %(batch)s FOR UPDATE OF jobs SKIP LOCKED
        )
        RETURNING queue_name, task_name, priority, queueing_lock, args
    )
    INSERT INTO {bells.COLUMNS} SELECT * FROM dead {bells.ONCE}
"""
# Parked judges are rung by arms that judge. Without any, they have to learn that nobody will judge.
_UNJUDGED: Final = bells.ring_steps("""
    SELECT id, rank FROM steps
    WHERE waits_for IS NOT NULL AND role = 'judge'
        AND NOT EXISTS (SELECT 1 FROM pauses WHERE ended_at IS NULL)
        AND NOT EXISTS (
            SELECT 1 FROM arms
            WHERE is_enabled AND 'validate' = ANY(capabilities) AND NOT EXISTS (
                SELECT 1 FROM steps AS authors
                WHERE authors.run_id = steps.run_id AND authors.role IN ('execute', 'repair')
                    AND authors.arm = arms.name
            )
        )
    LIMIT %(batch)s
""")
_ACTIONS: Final = bells.ring_actions(f"""
    SELECT id FROM task_actions
    WHERE confirmed_at IS NOT NULL AND ended_at IS NULL
        AND coalesce(worked_at, confirmed_at) < clock_timestamp() - {_SETTLED_FOR}
    LIMIT %(batch)s
""")
_COUNT: Final = f"""
    INSERT INTO {counting.COLUMNS} VALUES ('{counting.RECONCILED}', ARRAY[%s], %s, %s)
    {counting.ADD}
"""
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
_FIRST_TASK: Final = ("-infinity", _FIRST_ID)

logger = logging.getLogger(__name__)


@dataclass
class Reconciler:
    """Looks for lost work; it remembers how far it has looked through long lists.

    It also ends decisions that nobody has made in time.
    """

    options: RunOptions = DEFAULT
    _after_step: str = _FIRST_ID
    _after_task: tuple[Any, Any] = _FIRST_TASK
    _reached_at: float = -math.inf
    _quiet_until: float = -math.inf

    def reconcile(self, *, now: float) -> dict[str, int]:
        """Ring what was lost; return how many were found, by what they are.

        Args:
            now: by the monotonic clock, in seconds.
        """
        if now - self._reached_at > AWAY_SECONDS:
            self._quiet_until = now + QUIET_SECONDS
        self._reached_at = now
        found: dict[str, int] = {}
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LOCK)
            if not cursor.fetchone()[0]:
                return {}
            cursor.execute(_IS_QUIET)
            # Their workers may be alive, and renew them now.
            if not (cursor.fetchone()[0] or now < self._quiet_until):
                found["expired_lease"] = self._run(cursor, _EXPIRED)
                found["dead_bell"] = self._run(cursor, _DEAD_BELLS)
            found["orphaned_step"] = self._run(cursor, _ORPHANED)
            found["action"] = self._run(cursor, _ACTIONS)
            # They are not lost, so they are not counted.
            self._run(cursor, _UNJUDGED)
            found["ready_step"] = self._ready_steps(cursor)
            found["pending_task"] = self._pending_tasks(cursor)
        found["time_over"] = self._over()
        expire(self.options)
        self._count(found)
        return found

    def _run(self, cursor: Any, statement: str) -> int:
        cursor.execute(statement, {"batch": BATCH})
        return int(cursor.rowcount)

    def _ready_steps(self, cursor: Any) -> int:
        cursor.execute(_READY, {"batch": BATCH, "after": self._after_step})
        last, looked_at, rung = cursor.fetchone()
        self._after_step = last if looked_at == BATCH else _FIRST_ID
        return int(rung)

    def _pending_tasks(self, cursor: Any) -> int:
        after_time, after_id = self._after_task
        cursor.execute(_PENDING, {"batch": BATCH, "after_time": after_time, "after_id": after_id})
        looked_at, missing, *last = cursor.fetchone()
        self._after_task = (last[0], last[1]) if looked_at == BATCH else _FIRST_TASK
        if missing:
            cursor.execute(bells.RING_TASKS, {"ids": missing})
        return len(missing or ())

    def _over(self) -> int:
        """End the runs whose time is over; each in a transaction of its own."""
        with connection.cursor() as cursor:
            cursor.execute(_OVER, {"batch": BATCH})
            ids = [step_id for (step_id,) in cursor.fetchall()]
        for step_id in ids:
            try:
                self._end_if_over(step_id)
            except DatabaseError:
                raise
            except Exception:
                # Of one task, whose rows SQL may have changed. The others end all the same.
                logger.exception("Run not ended", extra={"step_id": str(step_id)})
        return len(ids)

    def _end_if_over(self, step_id: UUID) -> None:
        with transaction.atomic():
            opened = open_step(step_id)
            if opened is not None and opened.attempt_id is None and opened.seconds_left <= 0:
                taking.fail(opened, FailureCode.TIMED_OUT, self.options)

    def _count(self, found: dict[str, int]) -> None:
        some = {name: number for name, number in found.items() if number}
        if not some:
            return
        logger.info("Lost work found", extra=some)
        with connection.cursor() as cursor:
            for name, number in sorted(some.items()):
                cursor.execute(_COUNT, [name, counting.part(), number])
