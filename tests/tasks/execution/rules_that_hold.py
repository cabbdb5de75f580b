"""What holds at any time, whatever workers, clients and staff have done; each rule is asserted.

A rule is a SELECT of what breaks it.
"""

from typing import Final

from django.db import connection

from tasks.execution.claiming.taking import MAX_LEASES_LOST, MAX_TRIES
from tasks.execution.ringing import ring_tasks
from tasks.execution.runs.keys import step_id
from tasks.execution.runs.moves import (
    MAX_PLANS,
    MAX_REPAIRS,
    MAX_REPAIRS_OF_STAFF,
    MAX_SIDE_BY_SIDE,
)
from tasks.models import Attempt, Step, Task

# A plan that is invalid is asked for once more.
MAX_REVISIONS: Final = 2 * MAX_PLANS


def ring(task: Task) -> None:
    """Ring a task, as its submission does."""
    ring_tasks([task.pk])


def is_live(attempt_id: int) -> bool:
    """Return whether what this attempt brings may be written."""
    return Attempt.objects.filter(
        pk=attempt_id, ended_at=None, step__task__status__in=["pending", "processing"]
    ).exists()


def none_breaks(rules: dict[str, str]) -> None:
    """Assert that no row breaks one of the rules, which are SELECTs by their names."""
    # All in one statement, since this is asked after each step of the state machine.
    parts = [f"SELECT '{name}', rule::text FROM ({rule}) AS rule" for name, rule in rules.items()]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        broken = cursor.fetchall()
    # The message, since pytest explains assertions of test modules only.
    assert not broken, broken


ATTEMPTS: Final = {
    "a step has at most one live attempt": """
        SELECT step_id FROM attempts WHERE ended_at IS NULL GROUP BY step_id HAVING count(*) > 1
    """,
    "only a running step has a live attempt": """
        SELECT step_id FROM attempts JOIN steps ON steps.id = step_id
        WHERE attempts.ended_at IS NULL AND state <> 'running'
    """,
    "the live attempt is the newest": """
        SELECT live.step_id FROM attempts AS live JOIN attempts AS later USING (step_id)
        WHERE live.ended_at IS NULL AND later.number > live.number
    """,
    "an open call has a live attempt": """
        SELECT calls.id FROM calls JOIN attempts ON attempts.id = attempt_id
        WHERE calls.ended_at IS NULL AND attempts.ended_at IS NOT NULL
    """,
}
BUDGETS: Final = {
    "a budget is the sum of its calls": """
        SELECT budgets.id FROM budgets LEFT JOIN LATERAL (
            SELECT
                coalesce(sum(calls.reserved_tokens) FILTER (WHERE calls.ended_at IS NULL), 0)
                    AS open_tokens,
                coalesce(sum(calls.reserved_usd) FILTER (WHERE calls.ended_at IS NULL), 0)
                    AS open_usd,
                coalesce(sum(tokens), 0) AS tokens, coalesce(sum(cost_usd), 0) AS usd
            FROM calls JOIN steps ON steps.id = step_id
            WHERE calls.day = budgets.day OR steps.run_id = budgets.run_id
        ) AS sums ON true
        WHERE (reserved_tokens, reserved_usd, spent_tokens, spent_usd)
            IS DISTINCT FROM (open_tokens, open_usd, tokens, usd)
    """,
}
CALLS: Final = {
    # Such an arm knows the key. A model computes it anew, which has no other effect.
    "after an unknown outcome only the same arm gets it again, if it knows the key": """
        SELECT later.id FROM calls JOIN arms ON arms.name = calls.arm
        JOIN calls AS later ON later.step_id = calls.step_id AND later.number > calls.number
        WHERE calls.outcome = 'unknown' AND (
            NOT is_idempotent OR protocol = 'octollm' AND
                (later.arm <> calls.arm OR later.request_digest <> calls.request_digest)
        )
    """,
    # A call whose worker was lost is no try.
    "a step has a bounded number of calls": f"""
        SELECT id FROM steps
        WHERE tries - leases_lost > {MAX_TRIES} OR leases_lost > {MAX_LEASES_LOST}
    """,
    # It would do with another key what may have been done.
    "no plan replaces a step that was stopped while its outcome was unknown": """
        SELECT steps.id FROM steps JOIN calls ON calls.step_id = steps.id
        JOIN steps AS later ON later.run_id = steps.run_id AND later.role = 'plan'
            AND later.revision > steps.revision
        WHERE steps.role = 'execute' AND steps.state = 'cancelled' AND outcome = 'unknown'
    """,
}
RUNS: Final = {
    "an open run has an unfinished task": """
        SELECT runs.id FROM runs JOIN tasks ON tasks.id = task_id
        WHERE ended_at IS NULL AND status NOT IN ('pending', 'processing')
    """,
    "a task that is being processed has an open run": """
        SELECT id FROM tasks WHERE status = 'processing'
            AND NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND ended_at IS NULL)
    """,
    "a run that has ended has no open step": """
        SELECT steps.id FROM runs JOIN steps ON steps.run_id = runs.id
        WHERE runs.ended_at IS NOT NULL AND steps.ended_at IS NULL
    """,
    "an open run has a step that is ready or running": """
        SELECT id FROM runs WHERE ended_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM steps WHERE run_id = runs.id AND state IN ('ready', 'running')
        )
    """,
    "the time of a run stands still exactly while all its open steps are parked": """
        SELECT id FROM runs WHERE ended_at IS NULL AND (parked_at IS NOT NULL) <> (
            started_at IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM steps WHERE run_id = runs.id
                    AND state IN ('ready', 'running') AND waits_for IS NULL
            )
        )
    """,
    "a failed run has a reason that one of its steps explains": """
        SELECT id FROM runs
        WHERE failure_code NOT IN ('plan_invalid', 'criteria_not_met', 'decision_expired')
            AND NOT EXISTS (
                SELECT 1 FROM steps
                WHERE run_id = runs.id AND steps.failure_code = runs.failure_code
            )
    """,
    "a failed task has a failed run, and no other one has": """
        SELECT id FROM tasks WHERE (status = 'failed') <> coalesce((
            SELECT ended_at IS NOT NULL AND failure_code IS NOT NULL FROM runs
            WHERE task_id = tasks.id ORDER BY number DESC LIMIT 1
        ), false) AND status NOT IN ('pending', 'cancelled')
    """,
}
_BEGUN: Final = "state IN ('ready', 'running', 'done', 'failed')"
PLANS: Final = {
    "a step begins after those that it depends on": f"""
        SELECT steps.id FROM steps, unnest(depends_on) AS needed
        WHERE role <> 'plan' AND {_BEGUN} AND NOT EXISTS (
            SELECT 1 FROM steps AS others WHERE others.run_id = steps.run_id
                AND others.number = needed AND others.state = 'done'
        )
    """,
    "only steps of a plan wait for others": """
        SELECT id FROM steps WHERE state = 'waiting' AND role <> 'execute'
    """,
    "only so many steps of a task are being carried out": f"""
        SELECT run_id FROM steps WHERE state IN ('ready', 'running')
        GROUP BY run_id HAVING count(*) > {MAX_SIDE_BY_SIDE}
    """,
    "plans, checks, repairs and decisions are alone": """
        SELECT run_id FROM steps WHERE state IN ('ready', 'running', 'waiting')
        GROUP BY run_id HAVING count(*) > 1 AND bool_or(role <> 'execute')
    """,
    "plans and repairs are bounded": f"""
        SELECT run_id FROM steps GROUP BY run_id
        HAVING max(revision) > {MAX_REVISIONS}
            OR count(DISTINCT revision) FILTER (WHERE role = 'execute') > {MAX_PLANS}
            OR count(*) FILTER (WHERE role = 'repair' AND action = '') > {MAX_REPAIRS}
            OR count(*) FILTER (WHERE role = 'repair' AND action <> '') > {MAX_REPAIRS_OF_STAFF}
    """,
    "only makings of a plan share a number": """
        SELECT run_id FROM steps WHERE role <> 'plan'
        GROUP BY run_id, number HAVING count(*) > 1 OR number < 1
    """,
    "a judge had no part in the result": """
        SELECT judges.id FROM calls JOIN steps AS judges ON judges.id = step_id
        JOIN steps AS authors ON authors.run_id = judges.run_id AND authors.arm = calls.arm
        WHERE judges.role = 'judge' AND authors.role IN ('execute', 'repair')
            AND authors.state = 'done' AND authors.number < judges.number
    """,
}
_CRITERIA: Final = "jsonb_array_length(tasks.acceptance_criteria)"
RESULTS: Final = {
    "a task is completed with a verdict on each criterion, and none is that it is not met": f"""
        SELECT tasks.id FROM tasks JOIN runs ON task_id = tasks.id
        WHERE status = 'completed' AND failure_code IS NULL
            AND number = (SELECT max(number) FROM runs WHERE task_id = tasks.id)
            AND {_CRITERIA} > 0 AND (
                coalesce(jsonb_array_length(verdicts), 0) <> {_CRITERIA}
                OR verdicts @> '[{{"verdict": "not_met"}}]'
            )
    """,
    # A run that ended without a failure completed its task, or was cancelled.
    "what there is, is kept": """
        SELECT tasks.id FROM tasks WHERE (
            SELECT count(*) FROM task_results WHERE task_id = tasks.id
        ) <> (status = 'completed')::integer + (
            SELECT count(*) FROM runs WHERE task_id = tasks.id AND failure_code IS NOT NULL
                AND EXISTS (
                    SELECT 1 FROM steps WHERE run_id = runs.id AND answer IS NOT NULL
                        AND role = 'execute'
                )
        )
    """,
    "the result is that of the last step": """
        SELECT tasks.id FROM tasks JOIN runs ON runs.task_id = tasks.id
        JOIN steps ON steps.run_id = runs.id AND steps.state = 'done'
        JOIN task_results ON task_results.task_id = tasks.id
        WHERE status = 'completed' AND role IN ('execute', 'repair') AND answer IS NOT NULL
            AND runs.number = (SELECT max(number) FROM runs WHERE task_id = tasks.id)
            AND NOT EXISTS (
                SELECT 1 FROM steps AS later WHERE later.run_id = runs.id
                    AND later.state = 'done' AND later.role = 'repair'
                    AND later.number > steps.number
            )
            AND NOT EXISTS (
                SELECT 1 FROM steps AS later WHERE later.run_id = runs.id
                    AND later.state = 'done' AND later.role = 'execute'
                    AND steps.number = ANY(later.depends_on)
            )
            AND NOT EXISTS (
                SELECT 1 FROM task_results WHERE task_id = tasks.id
                    AND (result_data = answer OR result_data -> steps.number::text = answer)
            )
    """,
}
_COUNTED: Final = """
    SELECT * FROM (
        SELECT labels, sum(value) AS counted FROM counts WHERE name = '{name}' GROUP BY labels
    ) AS counters FULL JOIN (
        SELECT ARRAY[{labels}] AS labels, count(*) AS there FROM {table}
        WHERE ended_at IS NOT NULL GROUP BY 1
    ) AS rows USING (labels)
    WHERE counted IS DISTINCT FROM there
"""
COUNTERS: Final = {
    "calls are counted": _COUNTED.format(name="arm_calls", labels="arm, outcome", table="calls"),
    "attempts are counted": _COUNTED.format(name="attempts", labels="outcome", table="attempts"),
}
ALL: Final = COUNTERS | ATTEMPTS | BUDGETS | CALLS | RUNS | PLANS | RESULTS


def all_rules() -> None:
    none_breaks(ALL)
    keys()


def keys() -> None:
    """The key of a step is made of its task, run, revision and number, and of nothing else."""
    steps = Step.objects.values_list("pk", "task_id", "run__number", "revision", "number")
    for key, task_id, run, revision, number in steps:
        assert key == step_id(task_id, run=run, revision=revision, step=number)


# A step that waits for others has them: a run has always one that is ready or running.
LOST: Final = {
    "a step that may be carried out has a bell, a worker, a time to wake, or a reason to wait": """
        SELECT id FROM steps WHERE state IN ('ready', 'running')
            AND wake_at IS NULL AND waits_for IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM procrastinate_jobs
                WHERE queueing_lock = steps.id::text AND status = 'todo'
            )
            AND NOT EXISTS (
                SELECT 1 FROM attempts
                WHERE step_id = steps.id AND ended_at IS NULL AND steps.state = 'running'
            )
    """,
    "a task whose run has not begun has a bell": """
        SELECT id FROM tasks WHERE status = 'pending'
            AND NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND ended_at IS NULL)
            AND NOT EXISTS (
                SELECT 1 FROM procrastinate_jobs
                WHERE queueing_lock = tasks.id::text AND status = 'todo'
            )
    """,
    "a decision is asked for, and nothing else waits for one": """
        SELECT id FROM steps WHERE state IN ('ready', 'running', 'waiting')
            AND (role = 'decide') <> coalesce(waits_for = 'decision', false)
    """,
}


def nothing_is_lost() -> None:
    """What is unfinished goes on by itself, or waits for something that has a name."""
    none_breaks(LOST)
