"""Ending the runs of tasks that have ended: their steps, attempts and calls end with them.

From then on, every write of the workers that had them is refused. They notice within a second, and
close their connections to the arms.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import connection

from tasks.execution import counting
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.execution.settlement import SETTLED, attempts_counted, counted

# What an UPDATE of steps sets that will not be carried out.
CANCELLED: Final = """
    state = 'cancelled', ended_at = clock_timestamp(), request = NULL, wake_at = NULL,
    waits_for = NULL, waits_at = '', parked_at = NULL
"""
# The tasks are locked.
_END: Final = f"""
    WITH ended_steps AS (
        UPDATE steps SET {CANCELLED}
        WHERE task_id = ANY(%(ids)s) AND state IN ('waiting', 'ready', 'running')
        RETURNING id, run_id
    ), ended_attempts AS (
        UPDATE attempts SET ended_at = clock_timestamp(), outcome = '{AttemptOutcome.CANCELLED}'
        FROM ended_steps
        WHERE attempts.step_id = ended_steps.id AND attempts.ended_at IS NULL
        RETURNING attempts.id, outcome, run_id
    ), ended_calls AS (
        UPDATE calls SET ended_at = clock_timestamp(), outcome = '{CallOutcome.UNKNOWN}',
            tokens = reserved_tokens, cost_usd = reserved_usd, is_estimated = true,
            detail = 'the task ended during the call'
        FROM ended_attempts
        WHERE calls.attempt_id = ended_attempts.id AND calls.ended_at IS NULL
        RETURNING calls.*, run_id
    ), ended_runs AS (
        UPDATE runs SET ended_at = clock_timestamp()
        WHERE task_id = ANY(%(ids)s) AND ended_at IS NULL
    ), {SETTLED}
    {counted(attempts_counted("ended_attempts"))}
"""


# Code of an earlier version, or SQL, may have ended the task and nothing else.
_TASK_THAT_IS_OVER: Final = """
    SELECT tasks.id FROM tasks JOIN steps ON steps.task_id = tasks.id
    WHERE steps.id = %s AND steps.state IN ('ready', 'running')
        AND tasks.status IN ('completed', 'failed', 'cancelled')
    FOR NO KEY UPDATE OF tasks
"""


def end_if_over(step_id: UUID) -> None:
    """End the run of an unfinished step whose task has ended."""
    with connection.cursor() as cursor:
        cursor.execute(_TASK_THAT_IS_OVER, [step_id])
        task_ids = [task_id for (task_id,) in cursor.fetchall()]
    end_runs(task_ids)


def end_runs(task_ids: Collection[UUID]) -> None:
    """End the open runs of tasks that ended; their rows are locked by this transaction."""
    if task_ids:
        with connection.cursor() as cursor:
            cursor.execute(_END, {"ids": [*task_ids], "part": counting.part()})
