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

from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Task
from tasks.models.execution.worker import LIVES_FOR
from tasks.states import Status, WaitsFor


class ReadResult(NamedTuple):
    """What came out of a task.

    Attributes:
        confidence: 0 to 1.
    """

    result_data: Any
    confidence: Decimal
    created_at: datetime


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
        step: the number of the step; None before the task has begun.
        waits_for: what it is parked for; None if it is not parked.
        detail: what it waits for in a sentence; empty if it is being carried out.
    """

    since: datetime
    step: int | None
    waits_for: WaitsFor | None
    detail: str


class ReadTask(NamedTuple):
    """The current state of a task.

    Attributes:
        client_id: None for a task that was submitted without a key.
        failure: None if the task has not failed.
        progress: None if the task has ended.
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
    result: ReadResult | None


WAITING: Final = {
    WaitsFor.ARM: "No arm that could carry it out is enabled and working.",
    WaitsFor.ROOM: "It waits for room at an arm.",
    WaitsFor.BUDGET: "The budget of all tasks for today (UTC) is spent.",
    WaitsFor.RELEASE: "It waits until staff release it.",
    WaitsFor.RESUME: "Staff have paused all calls.",
}
NO_ARM: Final = "No arm is registered."
NO_WORKER: Final = "No worker is running."
IN_LINE: Final = "It waits for a worker."
ANOTHER_CALL: Final = "It waits for another call."

COLUMNS: Final = f"""
    tasks.id, client_id, goal, status, priority, tasks.created_at, updated_at, task_metadata,
    run.failure_code, run.tokens, run.cost_usd, run.seconds, run.is_estimated,
    step.since, step.number, step.state, step.waits_for,
    CASE
        WHEN step.waits_for = 'arm' THEN NOT EXISTS (SELECT 1 FROM arms)
        WHEN status = 'pending' AND step.waits_for IS NULL THEN NOT EXISTS (
            SELECT 1 FROM workers
            WHERE ended_at IS NULL
                AND seen_at > clock_timestamp() - interval '{LIVES_FOR.total_seconds()} seconds'
        )
    END
"""
# Follows `FROM tasks`. A task that was never begun has no run, and one that has ended no step.
JOINS: Final = """
    LEFT JOIN LATERAL (
        SELECT (array_agg(failure_code ORDER BY number DESC))[1] AS failure_code,
            sum(spent_tokens) AS tokens, sum(spent_usd) AS cost_usd,
            sum(spent_seconds) AS seconds, bool_or(is_estimated) AS is_estimated
        FROM runs JOIN budgets ON run_id = runs.id
        WHERE task_id = tasks.id
    ) AS run ON true
    LEFT JOIN LATERAL (
        SELECT number, state, waits_for, coalesce(
            parked_at,
            (SELECT max(coalesce(ended_at, started_at)) FROM attempts WHERE step_id = steps.id),
            created_at
        ) AS since
        FROM steps WHERE task_id = tasks.id AND state IN ('ready', 'running')
        ORDER BY state DESC, number LIMIT 1
    ) AS step ON status IN ('pending', 'processing')
"""
_STATEMENT: Final = f"""
    SELECT {COLUMNS}, result_data, confidence, newest.created_at
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
    """Return the task with its newest result.

    Raises:
        Task.DoesNotExist
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [task_id])
        row = cursor.fetchone()
    if row is None:
        raise Task.DoesNotExist
    *columns, result_data, confidence, result_created_at = row
    result = None
    if result_data is not None:
        result = ReadResult(json.loads(result_data), confidence, result_created_at)
    return task_of(columns, result)


def task_of(columns: list[Any], result: ReadResult | None = None) -> ReadTask:
    """Return the task in a row of `COLUMNS`."""
    *fields, metadata, code, tokens, cost, seconds, estimated, since, step, state, waits, lacks = (
        columns
    )
    status, created_at, updated_at = fields[3], *fields[5:7]
    failure = None
    if status == Status.FAILED and code is not None:
        failure = Failure(FailureCode(code), SENTENCES[FailureCode(code)])
    progress = None
    if status in (Status.PENDING, Status.PROCESSING):
        reason = None if waits is None else WaitsFor(waits)
        detail = _detail(reason, state, is_pending=status == Status.PENDING, lacks=bool(lacks))
        # A task that has had a run, and has no step now, was requeued.
        in_line_since = created_at if tokens is None else updated_at
        progress = Progress(since or in_line_since, step, reason, detail)
    usage = TaskUsage(int(tokens or 0), cost or Decimal(0), seconds or 0.0, bool(estimated))
    # Django returns jsonb as text.
    return ReadTask._make([*fields, json.loads(metadata), failure, usage, progress, result])


def _detail(reason: WaitsFor | None, state: str | None, *, is_pending: bool, lacks: bool) -> str:
    """Return what an unfinished task waits for.

    Args:
        lacks: whether there is no arm at all, or no worker.
    """
    if reason is WaitsFor.ARM and lacks:
        return NO_ARM
    if reason is not None:
        return WAITING[reason]
    if is_pending:
        return NO_WORKER if lacks else IN_LINE
    return ANOTHER_CALL if state == "ready" else ""
