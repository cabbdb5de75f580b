"""The writes of a claim; each is part of its transaction, which has locked task and step."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from tasks.arms.description import Arm
from tasks.arms.work import Request
from tasks.changes import EventKind
from tasks.execution import counting
from tasks.execution.claiming.opening import Opened
from tasks.execution.concluding import Conclusion, Event, conclude, events_of, status_events
from tasks.execution.failures import FailureCode
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.execution.runs.finishing import finish
from tasks.execution.runs.options import RunOptions
from tasks.execution.runs.state import AUTHORS
from tasks.execution.settlement import SETTLED, attempts_counted, counted
from tasks.states import Status, StepState, WaitsFor

LEASE_SECONDS: Final = 20
# Calls whose worker was lost are not tries.
MAX_TRIES: Final = 4
MAX_LEASES_LOST: Final = 5


class Taken(NamedTuple):
    attempt_id: int
    call_id: int


_MAKE_RUN: Final = """
    WITH run AS (
        INSERT INTO runs (task_id, number, pinned_arm) VALUES (%(task_id)s, %(run)s, %(pinned_arm)s)
        RETURNING id
    ), budget AS (
        INSERT INTO budgets (run_id, max_tokens, max_cost_usd)
        SELECT id, %(max_tokens)s, %(max_cost_usd)s FROM run
    )
    INSERT INTO steps (id, run_id, task_id, client_id, number, role, capability, rank)
    SELECT %(step_id)s, id, %(task_id)s, %(client_id)s, %(number)s, %(role)s, %(capability)s,
        %(rank)s
    FROM run
    RETURNING run_id
"""
_LEASE_COUNTED: Final = f"SELECT '{counting.LEASES_LOST}', ARRAY[]::text[], 1"
_END_LOST: Final = f"""
    WITH ended_attempts AS (
        UPDATE attempts SET ended_at = clock_timestamp(), outcome = '{AttemptOutcome.LOST}'
        WHERE id = %(attempt_id)s RETURNING id, outcome
    ), ended_calls AS (
        UPDATE calls SET ended_at = greatest(clock_timestamp(), started_at),
            outcome = '{CallOutcome.UNKNOWN}', detail = 'the worker was lost during the call',
            tokens = CASE WHEN %(is_charged)s THEN reserved_tokens ELSE 0 END,
            cost_usd = CASE WHEN %(is_charged)s THEN reserved_usd ELSE 0 END, is_estimated = true
        WHERE attempt_id = %(attempt_id)s AND ended_at IS NULL
        RETURNING calls.*, %(run_id)s::bigint AS run_id
    ), lost_step AS (
        UPDATE steps SET leases_lost = leases_lost + 1 WHERE id = %(step_id)s
    ), event AS (
        INSERT INTO task_events (task_id, kind, actor_kind, data)
        VALUES (%(task_id)s, '{EventKind.RECOVERY.value}', 'service', %(data)s)
    ), {SETTLED}
    {counted(attempts_counted("ended_attempts"), _LEASE_COUNTED)}
"""
# The row of the arm is locked, so the number of its open calls cannot grow.
_TAKE: Final = f"""
    WITH place AS (
        SELECT 1 WHERE (
            SELECT count(*) FROM calls WHERE arm = %(arm)s AND ended_at IS NULL
        ) < %(room)s
    ), reserved AS (
        UPDATE budgets SET reserved_tokens = reserved_tokens + %(tokens)s,
            reserved_usd = reserved_usd + %(usd)s
        FROM place
        WHERE run_id = %(run_id)s
            AND spent_tokens + reserved_tokens + %(tokens)s <= max_tokens
            AND spent_usd + reserved_usd + %(usd)s <= max_cost_usd
        RETURNING id
    ), attempt AS (
        INSERT INTO attempts (step_id, number, worker_id, started_at, lease_until)
        SELECT %(step_id)s, %(attempt)s, %(worker_id)s, clock_timestamp(),
            clock_timestamp() + make_interval(secs => {LEASE_SECONDS})
        FROM reserved
        RETURNING id
    ), call AS (
        INSERT INTO calls (attempt_id, step_id, number, arm, client_id, request_digest,
            started_at, reserved_tokens, reserved_usd, day)
        SELECT id, %(step_id)s, %(number)s, %(arm)s, %(client_id)s, %(digest)s,
            clock_timestamp(), %(tokens)s, %(usd)s, %(day)s
        FROM attempt
        RETURNING id
    ), taken_step AS (
        UPDATE steps SET state = 'running', arm = %(arm)s, request = %(request)s, tries = tries + 1,
            wake_at = NULL, waits_for = NULL, waits_at = '', parked_at = NULL
        FROM call WHERE steps.id = %(step_id)s
    ), started_run AS (
        UPDATE runs SET started_at = coalesce(started_at, clock_timestamp()), ends_at = %(ends_at)s,
            parked_at = NULL
        FROM call WHERE runs.id = %(run_id)s AND ends_at IS DISTINCT FROM %(ends_at)s
    ), started_task AS (
        UPDATE tasks SET status = 'processing',
            assigned_arm = CASE WHEN %(is_author)s THEN %(arm)s ELSE assigned_arm END,
            updated_at = clock_timestamp()
        FROM call
        WHERE tasks.id = %(task_id)s AND (
            status = 'pending' OR %(is_author)s AND assigned_arm IS DISTINCT FROM %(arm)s
        )
    ), events AS (
        {events_of("call")}
    ), counted AS (
        INSERT INTO {counting.COLUMNS}
        SELECT '{counting.TASKS}', ARRAY['processing'], %(part)s, 1 FROM call WHERE %(is_first)s
        {counting.ADD}
    )
    SELECT attempt.id, call.id FROM attempt, call
"""
_RESERVE_DAY: Final = """
    INSERT INTO budgets (day, reserved_tokens, reserved_usd)
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, %(tokens)s, %(usd)s
    WHERE %(usd)s <= %(limit)s
    ON CONFLICT (day) DO UPDATE SET
        reserved_tokens = budgets.reserved_tokens + excluded.reserved_tokens,
        reserved_usd = budgets.reserved_usd + excluded.reserved_usd
    WHERE budgets.spent_usd + budgets.reserved_usd + excluded.reserved_usd <= %(limit)s
    RETURNING day
"""


def make_run(opened: Opened) -> Opened:
    """Store the run, the budget and the step, unless they are stored already."""
    if opened.run_id is not None:
        return opened
    parameters = {
        "task_id": opened.task_id,
        "client_id": opened.client_id,
        "run": opened.run,
        "pinned_arm": opened.run_pin,
        "max_tokens": opened.max_tokens,
        "max_cost_usd": opened.max_cost_usd,
        "step_id": opened.step_id,
        "number": opened.step,
        "role": opened.role,
        "capability": opened.capability,
        "rank": opened.rank,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_RUN, parameters)
        (run_id,) = cursor.fetchone()
    return replace(opened, run_id=run_id)


def end_lost_attempt(opened: Opened) -> Opened:
    """End the attempt of a worker that lost its lease; the outcome of its call is unknown.

    What the call reserved counts as spent, unless the call is repeated and not paid again.
    """
    call = opened.last_call
    is_last = opened.leases_lost + 1 >= MAX_LEASES_LOST
    is_charged = opened.charges_repeats or is_last
    parameters = {
        "is_charged": is_charged,
        "attempt_id": opened.attempt_id,
        "run_id": opened.run_id,
        "step_id": opened.step_id,
        "task_id": opened.task_id,
        "data": json.dumps(opened.place | {"attempt": opened.attempts}),
        "part": counting.part(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_END_LOST, parameters)
    # If the call had ended well, its answer was lost with the worker.
    is_lost = call.outcome in (None, CallOutcome.SUCCEEDED)
    return replace(
        opened,
        attempt_id=None,
        leases_lost=opened.leases_lost + 1,
        left_tokens=opened.left_tokens + (0 if is_charged else call.open_tokens),
        left_usd=opened.left_usd + (0 if is_charged else call.open_usd),
        has_unknown=opened.has_unknown or is_lost,
        last_call=replace(call, outcome=CallOutcome.UNKNOWN) if is_lost else call,
    )


def park(opened: Opened, waits_for: WaitsFor) -> None:
    """Let the step wait for something, without a job."""
    is_new = opened.waits_for != waits_for
    opened = make_run(opened)
    data = opened.place | {"waits_for": waits_for.value}
    conclude(
        Conclusion(
            task_id=opened.task_id,
            step_id=opened.step_id,
            state=StepState.READY,
            waits_for=waits_for,
            waits_at=opened.arm or opened.pinned_arm or "",
            events=[Event(EventKind.PARK, data)] if is_new else [],
        )
    )


def wait(opened: Opened, seconds: float) -> None:
    """Let the step wait for a time before it is claimed again."""
    conclude(
        Conclusion(
            task_id=opened.task_id,
            step_id=opened.step_id,
            state=StepState.READY,
            wake_in_seconds=seconds,
        )
    )


def fail(opened: Opened, code: FailureCode, options: RunOptions) -> None:
    """End the step, and do what its run does next: mostly, it ends with its task."""
    opened = make_run(opened)
    # A task that nobody has begun goes through the same statuses as others.
    statuses = [Status.PROCESSING] if opened.status == Status.PENDING else []
    conclusion = Conclusion(
        task_id=opened.task_id,
        step_id=opened.step_id,
        state=StepState.FAILED,
        failure=code,
        statuses=statuses,
        events=status_events(Status(opened.status), statuses),
    )
    finish(conclusion, options)


def reserve_day(request: Request, limit: Decimal) -> date | None:
    """Reserve a part of the budget of today (UTC); return the day, or None if it has too little."""
    parameters: dict[str, Any] = {"tokens": request.tokens, "usd": request.cost_usd, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE_DAY, parameters)
        row = cursor.fetchone()
    return None if row is None else row[0]


def take(
    opened: Opened,
    *,
    arm: Arm,
    request: Request,
    digest: bytes,
    worker_id: UUID,
    day: date | None,
) -> Taken | None:
    """Claim the step, with a place at the arm and a part of the budget, and write down its call.

    Return None if another worker took the last place; the transaction must then be rolled back.
    """
    opened = make_run(opened)
    is_first = opened.status == Status.PENDING
    events = _events_of_claim(opened, arm)
    parameters: dict[str, Any] = {
        "task_id": opened.task_id,
        "client_id": opened.client_id,
        "run_id": opened.run_id,
        "step_id": opened.step_id,
        "worker_id": worker_id,
        "attempt": opened.attempts + 1,
        "number": opened.tries + 1,
        "arm": arm.name,
        "room": arm.room,
        "request": request.body,
        "digest": digest,
        "tokens": request.tokens,
        "usd": request.cost_usd,
        "day": day,
        "ends_at": opened.run_ends_at,
        "is_first": is_first,
        "is_author": opened.role in AUTHORS,
        "kinds": [event.kind.value for event in events],
        "data": [json.dumps(event.data) for event in events],
        "part": counting.part(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        row = cursor.fetchone()
    return None if row is None else Taken(*row)


def _events_of_claim(opened: Opened, arm: Arm) -> list[Event]:
    place = opened.place
    events = [
        Event(EventKind.CLAIM, {**place, "attempt": opened.attempts + 1}),
        Event(EventKind.CALL, {**place, "call": opened.tries + 1, "arm": arm.name}),
    ]
    if opened.ends_at is None:
        events.insert(0, Event(EventKind.RUN, {"run": opened.run}))
    if opened.status == Status.PENDING:
        events[:0] = status_events(Status.PENDING, [Status.PROCESSING])
    return events
