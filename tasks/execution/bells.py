"""Bells: jobs of procrastinate that tell workers that there is something to do, always now.

Our tables are the truth. A bell that finds nothing to do ends, and one that is lost is rung again
by the reconciler. Names and arguments of jobs only grow, so that workers of different versions run
side by side.
"""

from datetime import UTC, datetime
from typing import Final

from tasks.states import Priority

QUEUE: Final = "tasks"
STAFF_QUEUE: Final = "staff"
# Begin the first or next run of a task; `task` is its id.
BEGIN: Final = "begin"
# Carry out a step; `step` is its id.
CARRY_OUT: Final = "carry_out"
# Go on with an action of staff; `action` is its id.
ACT: Final = "act"
# Ask an arm for its health; `arm` is its name.
CHECK_ARM: Final = "check_arm"

# A job with the same lock waits already: a second bell would say the same.
ONCE: Final = "ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING"
COLUMNS: Final = "procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args)"

# A head start in seconds. With it, a task goes before others that were submitted so much earlier;
# since it is bounded, every task gets its turn.
HEAD_START_SECONDS: Final = {
    Priority.CRITICAL: 86_400,
    Priority.HIGH: 3_600,
    Priority.MEDIUM: 0,
    Priority.LOW: -3_600,
}
_ORIGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def rank(priority: str, created_at: datetime, *, is_anonymous: bool) -> int:
    """Return the place in line of a task; the highest goes first.

    Tasks that came without a key weigh at most as much as medium ones.
    """
    head_start = HEAD_START_SECONDS[Priority(priority)]
    if is_anonymous:
        head_start = min(head_start, HEAD_START_SECONDS[Priority.MEDIUM])
    return head_start - int((created_at - _ORIGIN).total_seconds())


# The same for the tasks of a statement.
RANK: Final = f"""
    (CASE WHEN tasks.client_id IS NULL THEN least(0, head_start) ELSE head_start END
        - trunc(extract(epoch FROM tasks.created_at - '{_ORIGIN.isoformat()}')))::integer
"""
_HEAD_STARTS: Final = ", ".join(
    f"('{name}', {seconds})" for name, seconds in HEAD_START_SECONDS.items()
)
_HEAD_START: Final = f"""
    JOIN (VALUES {_HEAD_STARTS}) AS head_starts (priority, head_start)
    ON head_starts.priority = tasks.priority
"""
RING_TASKS: Final = f"""
    INSERT INTO {COLUMNS}
    SELECT '{QUEUE}', '{BEGIN}', {RANK}, tasks.id::text, jsonb_build_object('task', tasks.id)
    FROM tasks {_HEAD_START}
    WHERE tasks.id = ANY(%(ids)s)
    {ONCE}
"""
# Gives the waiting jobs and the unfinished steps of tasks the place that their priority has now.
RANK_AGAIN: Final = f"""
    WITH ranked AS (
        SELECT tasks.id, {RANK} AS rank FROM tasks {_HEAD_START} WHERE tasks.id = ANY(%(ids)s)
    ), steps_ranked AS (
        UPDATE steps SET rank = ranked.rank FROM ranked
        WHERE steps.task_id = ranked.id AND state IN ('waiting', 'ready', 'running')
        RETURNING steps.id, ranked.rank
    )
    UPDATE procrastinate_jobs SET priority = wanted.rank
    FROM (SELECT id, rank FROM ranked UNION ALL SELECT id, rank FROM steps_ranked) AS wanted
    WHERE queueing_lock = wanted.id::text AND status = 'todo'
"""


def ring_steps(chosen: str) -> str:
    """Return the statement that rings the steps that `chosen`, a SELECT of `id` and `rank`, has."""
    return f"""
        INSERT INTO {COLUMNS}
        SELECT '{QUEUE}', '{CARRY_OUT}', rank, id::text, jsonb_build_object('step', id)
        FROM ({chosen}) AS chosen
        {ONCE}
    """


def ring_actions(chosen: str) -> str:
    """Return the statement that rings the actions that `chosen`, a SELECT of `id`, has."""
    return f"""
        INSERT INTO {COLUMNS}
        SELECT '{STAFF_QUEUE}', '{ACT}', 0, id::text, jsonb_build_object('action', id)
        FROM ({chosen}) AS chosen
        {ONCE}
    """


def ring_checks(chosen: str) -> str:
    """Return the statement that has the arms checked that `chosen`, a SELECT of `name`, has."""
    return f"""
        INSERT INTO {COLUMNS}
        SELECT '{STAFF_QUEUE}', '{CHECK_ARM}', 0, 'arm:' || name, jsonb_build_object('arm', name)
        FROM ({chosen}) AS chosen
        {ONCE}
    """
