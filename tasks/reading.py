"""Reading a task with one statement, written by hand.

The ORM would compile the same statement for every request, which takes longer than the database
needs to answer it.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from tasks.arms.forms import CriterionVerdict
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.execution.runs.criteria import UNDECIDED_CONFIDENCE
from tasks.models import Task
from tasks.models.execution.worker import LIVES_FOR
from tasks.states import Status, StepRole, StepState, WaitsFor


class ReadResult(NamedTuple):
    """What came out of a task.

    Attributes:
        confidence: 0 to 1.
    """

    result_data: Any
    confidence: Decimal
    created_at: datetime


class ReadCriterion(NamedTuple):
    """An acceptance criterion, and what was found about it.

    Attributes:
        verdict: met, not_met or undecided.
        by: rule, arm or person; None as long as nobody has looked.
        evidence: a sentence; may be empty.
        confidence: in the verdict, 0 to 1.
    """

    criterion: str
    verdict: str
    by: str | None
    evidence: str
    confidence: float


class Failure(NamedTuple):
    """Why a task failed; `detail` is a sentence without anybody's text."""

    code: FailureCode
    detail: str


class TaskUsage(NamedTuple):
    """What the calls of all runs of a task have used.

    Attributes:
        is_estimated: whether an arm did not report what a call used.
    """

    tokens: int
    cost_usd: Decimal
    seconds: float
    is_estimated: bool


class Progress(NamedTuple):
    """Where an unfinished task is.

    Attributes:
        since: since when it is there.
        steps: how many steps the newest plan has; None before there is a plan.
        done: how many of them are done.
        step: the number of the step; None before the task has begun. Of several open steps it is
            one that is being carried out, if there is one.
        waits_for: what it is parked for; None if it is not parked.
        detail: what it waits for, or what is done beside the steps, in a sentence; empty if a step
            is being carried out.
    """

    since: datetime
    steps: int | None
    done: int
    step: int | None
    waits_for: WaitsFor | None
    detail: str


class ReadTask(NamedTuple):
    """The current state of a task.

    Attributes:
        client_id: None for a task that was submitted without a key.
        failure: None if the task has not failed.
        progress: None if the task has ended.
        criteria: in their order; empty if it was not asked for them.
        result: the newest one; None if there is none, or it was not asked for.
    """

    id: UUID
    client_id: UUID | None
    goal: str
    status: str
    priority: str
    created_at: datetime
    updated_at: datetime
    task_metadata: dict[str, Any]
    failure: Failure | None
    usage: TaskUsage
    progress: Progress | None
    criteria: list[ReadCriterion]
    result: ReadResult | None


WAITING: Final = {
    WaitsFor.ARM: "No arm that could carry it out is enabled and working.",
    WaitsFor.ROOM: "It waits for room at an arm.",
    WaitsFor.BUDGET: "The budget of all tasks for today (UTC) is spent.",
    WaitsFor.RELEASE: "It waits until staff release it.",
    WaitsFor.RESUME: "Staff have paused all calls.",
    WaitsFor.DECISION: "It waits for a decision of staff.",
}
# A decision is never carried out by a worker.
CARRIED_OUT: Final = {
    StepRole.EXECUTE: "",
    StepRole.PLAN: "A plan is being made.",
    StepRole.JUDGE: "The result is being checked.",
    StepRole.REPAIR: "The result is being repaired.",
}
NO_ARM: Final = "No arm is registered."
NO_WORKER: Final = "No worker is running."
IN_LINE: Final = "It waits for a worker."
ANOTHER_CALL: Final = "It waits for another call."
NOT_CHECKED_YET: Final = "Not checked yet."
NOT_CHECKED: Final = "Not checked."

COLUMNS: Final = f"""
    tasks.id, client_id, goal, status, priority, tasks.created_at, updated_at, task_metadata,
    run.failure_code, run.failure_detail, run.tokens, run.cost_usd, run.seconds, run.is_estimated,
    step.since, plan.steps, plan.done, step.number, step.role, step.state, step.tries,
    step.waits_for,
    CASE
        WHEN step.waits_for = 'arm' THEN NOT EXISTS (SELECT 1 FROM arms)
        WHEN status = 'pending' AND step.waits_for IS NULL THEN NOT EXISTS (
            SELECT 1 FROM workers
            WHERE ended_at IS NULL
                AND seen_at > clock_timestamp() - interval '{LIVES_FOR.total_seconds()} seconds'
        )
    END
"""
# Follows `FROM tasks`. A task that was never begun has no run, and one that has ended no open step.
JOINS: Final = """
    LEFT JOIN LATERAL (
        SELECT (array_agg(failure_code ORDER BY number DESC))[1] AS failure_code,
            (array_agg(failure_detail ORDER BY number DESC))[1] AS failure_detail,
            (array_agg(verdicts ORDER BY number DESC))[1] AS verdicts,
            sum(spent_tokens) AS tokens, sum(spent_usd) AS cost_usd,
            sum(spent_seconds) AS seconds, bool_or(is_estimated) AS is_estimated
        FROM runs JOIN budgets ON run_id = runs.id
        WHERE task_id = tasks.id
    ) AS run ON true
    LEFT JOIN LATERAL (
        SELECT run_id, number, role, state, tries, waits_for, coalesce(
            parked_at,
            (SELECT max(coalesce(ended_at, started_at)) FROM attempts WHERE step_id = steps.id),
            created_at
        ) AS since
        FROM steps
        WHERE tasks.status IN ('pending', 'processing')
            AND task_id = tasks.id AND state IN ('ready', 'running')
        ORDER BY state DESC, waits_for IS NOT NULL, number LIMIT 1
    ) AS step ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS steps, count(*) FILTER (WHERE state = 'done') AS done
        FROM steps WHERE run_id = step.run_id AND role = 'execute'
        GROUP BY revision ORDER BY revision DESC LIMIT 1
    ) AS plan ON true
"""
# Null for most tasks, which have no criteria.
_CRITERIA: Final = "nullif(tasks.acceptance_criteria, '[]'), run.verdicts"
_STATEMENT: Final = f"""
    SELECT {COLUMNS}, {_CRITERIA}, result_data, confidence, newest.created_at
    FROM tasks {JOINS} LEFT JOIN LATERAL (
        SELECT result_data, confidence, created_at
        FROM task_results
        WHERE task_id = tasks.id
        ORDER BY created_at DESC, id DESC
        LIMIT 1
    ) AS newest ON has_result
    WHERE tasks.id = %s
"""


def read_task(task_id: UUID) -> ReadTask:
    """Return the task with its criteria and its newest result.

    Raises:
        Task.DoesNotExist
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [task_id])
        row = cursor.fetchone()
    if row is None:
        raise Task.DoesNotExist
    *columns, criteria, verdicts, result_data, confidence, result_created_at = row
    result = None
    if result_data is not None:
        result = ReadResult(json.loads(result_data), confidence, result_created_at)
    read = [] if criteria is None else _criteria(criteria, verdicts, status=columns[3])
    return task_of(columns, read, result)


def _criteria(criteria: str, verdicts: str | None, *, status: str) -> list[ReadCriterion]:
    """Return the criteria in a JSON text, with their verdicts if there was a check."""
    texts = json.loads(criteria)
    if not isinstance(texts, list):
        # SQL can store other values than the API.
        return []
    undecided = CriterionVerdict.UNDECIDED.value
    evidence = NOT_CHECKED_YET if status in (Status.PENDING, Status.PROCESSING) else NOT_CHECKED
    not_checked = [
        ReadCriterion(text, undecided, None, evidence, UNDECIDED_CONFIDENCE) for text in texts
    ]
    judged = json.loads(verdicts or "[]")
    if len(judged) != len(texts):
        return not_checked
    return [
        one._replace(evidence=found["evidence"] or evidence)
        # Nobody can decide about it, or an arm is being asked.
        if found["by"] is None
        else ReadCriterion(one.criterion, **found)
        for one, found in zip(not_checked, judged, strict=True)
    ]


def task_of(
    columns: list[Any],
    criteria: list[ReadCriterion] | None = None,
    result: ReadResult | None = None,
) -> ReadTask:
    """Return the task in a row of `COLUMNS`."""
    *fields, metadata, code, detail, tokens, cost, seconds, estimated = columns[:14]
    status, created_at, updated_at = fields[3], *fields[5:7]
    failure = None
    if status == Status.FAILED and code is not None:
        failure = Failure(FailureCode(code), detail or SENTENCES[FailureCode(code)])
    progress = None
    if status in (Status.PENDING, Status.PROCESSING):
        # A task that has had a run, and has no step now, was requeued.
        in_line_since = created_at if tokens is None else updated_at
        progress = _progress(columns[14:], in_line_since, is_pending=status == Status.PENDING)
    usage = TaskUsage(int(tokens or 0), cost or Decimal(0), seconds or 0.0, bool(estimated))
    # Django returns jsonb as text.
    read = [*fields, json.loads(metadata), failure, usage, progress, criteria or [], result]
    return ReadTask._make(read)


def _progress(columns: list[Any], in_line_since: datetime, *, is_pending: bool) -> Progress:
    """Return where an unfinished task is, of the columns about its step."""
    since, steps, done, number, role, state, tries, waits, lacks = columns
    waits_for = None if waits is None else WaitsFor(waits)
    if waits_for is WaitsFor.ARM and lacks:
        detail = NO_ARM
    elif waits_for is not None:
        detail = WAITING[waits_for]
    elif is_pending:
        detail = NO_WORKER if lacks else IN_LINE
    elif state == StepState.READY:
        detail = ANOTHER_CALL if tries else IN_LINE
    else:
        detail = "" if role is None else CARRIED_OUT[StepRole(role)]
    return Progress(since or in_line_since, steps, done or 0, number, waits_for, detail)
