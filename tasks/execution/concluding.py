"""Writing what became of a step, and how its run ends if it does, in one statement.

A worker's write carries its attempt. It changes nothing if another worker has taken over, or if the
task was cancelled or requeued: then the attempt has ended.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connection

from safety.models import Receipt
from tasks.changes import EventKind
from tasks.execution import counting
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.execution.settlement import SETTLED, attempts_counted, counted
from tasks.insertion import insert_of
from tasks.states import FINAL_STATES, Status, StepState, TaskVerdict, WaitsFor


@dataclass(frozen=True)
class Event:
    """An event of the task; `data` as the timeline shows it."""

    kind: EventKind
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EndedCall:
    """How a call ended.

    Attributes:
        tokens, cost_usd: what it used; None to take its reservation as an estimate.
        detail: a few constant words if it did not succeed.
    """

    id: int
    outcome: CallOutcome
    tokens: int | None = None
    cost_usd: Decimal | None = None
    detail: str = ""


@dataclass(frozen=True)
class Conclusion:
    """What becomes of a step and its task.

    Attributes:
        attempt_id: the attempt that ends; None if there is none.
        call: the call that ends; None if there is none, or if it has ended already.
        wake_in_seconds: how long the step waits; None if it does not wait for a time.
        waits_for, waits_at: what the step is parked for, and at which arm.
        forgets_request: whether the next call may go to another arm, since nothing was sent.
        failure: why the step failed.
        answer, verdict: what came back and the verdict on it, if the run goes on with it.
        confidence: of the answer.
        ends_run: whether the run ends with the step.
        run_failure, failure_detail: why the run failed; the detail follows the code's sentence.
        result, result_confidence: what came out; the task then has a result.
        verdicts: the verdict on each criterion, if they were checked.
        statuses: the statuses that the task enters one after the other.
    """

    task_id: UUID
    step_id: UUID
    state: StepState
    attempt_id: int | None = None
    attempt_outcome: AttemptOutcome | None = None
    call: EndedCall | None = None
    wake_in_seconds: float | None = None
    waits_for: WaitsFor | None = None
    waits_at: str = ""
    forgets_request: bool = False
    failure: FailureCode | None = None
    answer: Any = None
    verdict: TaskVerdict | None = None
    confidence: float | None = None
    ends_run: bool = False
    run_failure: FailureCode | None = None
    failure_detail: str = ""
    result: Any = None
    result_confidence: float = 0
    verdicts: list[dict[str, Any]] | None = None
    statuses: Sequence[Status] = ()
    receipt: Receipt | None = None
    events: Sequence[Event] = ()

    @property
    def is_over(self) -> bool:
        """Whether the step has ended."""
        return self.state in FINAL_STATES


def status_events(before: Status, entered: Sequence[Status]) -> list[Event]:
    """Return the events of statuses that follow one another."""
    pairs = zip([before, *entered], entered, strict=False)
    return [Event(EventKind.STATUS, {"from": old.value, "to": new.value}) for old, new in pairs]


def events_of(part: str) -> str:
    """Return the part of a statement that stores events for each row of `part`.

    The statement has `task_id`, and the events as `kinds` and `data`.
    """
    return f"""
        INSERT INTO task_events (task_id, kind, actor, actor_kind, reason, data, created_at)
        SELECT %(task_id)s, kind, '', 'service', '', data::jsonb, clock_timestamp()
        FROM {part}, unnest(%(kinds)s::text[], %(data)s::text[]) WITH ORDINALITY
            AS event (kind, data, number)
        ORDER BY number
    """


_LIVE: Final = """
    SELECT tasks.id AS task_id, tasks.created_at, tasks.status, steps.run_id, steps.id AS step_id
    FROM tasks JOIN steps ON steps.task_id = tasks.id {attempt}
    WHERE tasks.id = %(task_id)s AND steps.id = %(step_id)s
        AND tasks.status IN ('pending', 'processing') AND steps.state IN ('ready', 'running')
    FOR NO KEY UPDATE OF tasks, steps {locked}
"""
# The lock makes PostgreSQL look at the newest version of the attempt, after it waited for another
# worker that took over.
_LIVE_ATTEMPT: Final = _LIVE.format(
    attempt="JOIN attempts ON attempts.step_id = steps.id AND attempts.id = %(attempt_id)s "
    "AND attempts.ended_at IS NULL",
    locked=", attempts",
)
_LIVE_STEP: Final = _LIVE.format(attempt="", locked="")

_ENDED_CALLS: Final = """
        UPDATE calls SET ended_at = greatest(clock_timestamp(), started_at),
            outcome = %(call_outcome)s, detail = %(detail)s,
            tokens = coalesce(%(tokens)s, reserved_tokens),
            cost_usd = coalesce(%(cost_usd)s, reserved_usd),
            is_estimated = %(tokens)s::bigint IS NULL OR %(cost_usd)s::numeric IS NULL
        FROM live WHERE calls.id = %(call_id)s AND calls.ended_at IS NULL
        RETURNING calls.*, live.run_id
"""
_CONCLUDE: Final = f"""
    WITH live AS ({{live}}), ended_attempts AS (
        UPDATE attempts SET ended_at = clock_timestamp(), outcome = %(attempt_outcome)s
        FROM live WHERE attempts.id = %(attempt_id)s AND attempts.ended_at IS NULL
        RETURNING attempts.id, outcome
    ), ended_calls AS (
        {_ENDED_CALLS}
    ), {SETTLED}, changed_step AS (
        UPDATE steps SET state = %(state)s,
            wake_at = clock_timestamp() + make_interval(secs => %(wake_in_seconds)s),
            waits_for = %(waits_for)s, waits_at = %(waits_at)s,
            parked_at = CASE
                WHEN %(waits_for)s::text IS NOT NULL THEN coalesce(parked_at, clock_timestamp())
            END,
            ended_at = CASE WHEN %(is_over)s THEN clock_timestamp() END,
            request = CASE WHEN NOT (%(is_over)s OR %(forgets_request)s) THEN request END,
            arm = CASE WHEN NOT %(forgets_request)s THEN arm END,
            answer = %(answer)s::jsonb, verdict = %(verdict)s, confidence = %(confidence)s,
            failure_code = %(failure)s
        FROM live WHERE steps.id = live.step_id
    ), changed_run AS (
        UPDATE runs SET {{run}} FROM live WHERE runs.id = live.run_id AND {{changes_run}}
    ), changed_task AS (
        UPDATE tasks SET status = %(status)s, updated_at = clock_timestamp(),
            has_result = has_result OR %(result)s::jsonb IS NOT NULL
        FROM live WHERE tasks.id = live.task_id AND %(status)s::text IS NOT NULL
    ), stored_result AS (
        INSERT INTO task_results (id, task_id, result_data, confidence, created_at)
        SELECT %(result_id)s, task_id, %(result)s::jsonb, %(result_confidence)s, clock_timestamp()
        FROM live WHERE %(result)s::jsonb IS NOT NULL
    ), {{receipt}} events AS (
        {events_of("live")}
    ), counters AS (
        {{counters}}
    )
    SELECT EXISTS (SELECT 1 FROM steps WHERE waits_for IN ('arm', 'room')) FROM live
"""
_END_RUN: Final = """
    ended_at = CASE WHEN %(ends_run)s THEN clock_timestamp() END, failure_code = %(run_failure)s,
    failure_detail = %(failure_detail)s, verdicts = coalesce(%(verdicts)s::jsonb, verdicts)
"""
_PARK_RUN: Final = "parked_at = clock_timestamp()"
# Its time goes on as long as one of its steps can go on.
_IS_PARKED: Final = """
    runs.parked_at IS NULL AND runs.started_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM steps AS others
        WHERE others.run_id = live.run_id AND others.id <> live.step_id
            AND state IN ('ready', 'running') AND waits_for IS NULL
    )
"""
_TASKS_COUNTED: Final = f"""
    SELECT '{counting.TASKS}', ARRAY[entered], 1
    FROM live, unnest(%(statuses)s::text[]) AS entered
"""
_SECONDS: Final = "extract(epoch FROM clock_timestamp() - live.created_at)"
_DURATION_COUNTED: Final = f"""
    SELECT '{counting.DURATION}', ARRAY[label], value
    FROM live, LATERAL (
        VALUES ({counting.bucket_sql(_SECONDS)}, 1::numeric), ('{counting.SUM}', {_SECONDS})
    ) AS observed (label, value)
    WHERE %(ends_run)s
"""
_COUNTERS: Final = counted(attempts_counted("ended_attempts"), _TASKS_COUNTED, _DURATION_COUNTED)


def conclude(conclusion: Conclusion) -> bool | None:
    """Write the conclusion of an attempt, or of a step that this transaction has locked.

    Returns:
        None if the attempt has ended: nothing was written. Else whether steps are parked that the
        place at the arm may be for.
    """
    parameters = _parameters(conclusion)
    receipt = None if conclusion.receipt is None else insert_of(conclusion.receipt)
    if receipt is not None:
        parameters |= {f"receipt_{n}": value for n, value in enumerate(receipt.values)}
    statement = _statement(
        conclusion.attempt_id is not None,
        conclusion.waits_for is not None,
        receipt and receipt.into,
        len(receipt.values) if receipt else 0,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


@functools.cache
def _statement(
    has_attempt: bool, parks: bool, receipt_into: str | None, receipt_values: int
) -> str:
    marks = ", ".join(f"%(receipt_{number})s" for number in range(receipt_values))
    receipt = f"stored_receipt AS (INSERT INTO {receipt_into} SELECT {marks} FROM live),"
    return _CONCLUDE.format(
        live=_LIVE_ATTEMPT if has_attempt else _LIVE_STEP,
        run=_PARK_RUN if parks else _END_RUN,
        changes_run=_IS_PARKED if parks else "%(changes_run)s",
        receipt=receipt if receipt_into else "",
        counters=_COUNTERS,
    )


def lock(conclusion: Conclusion) -> int | None:
    """Lock the task, the step and the attempt of a conclusion; return the id of the run.

    Return None if the attempt has ended, or if the step has.
    """
    live = _LIVE_STEP if conclusion.attempt_id is None else _LIVE_ATTEMPT
    with connection.cursor() as cursor:
        cursor.execute(live, _parameters(conclusion))
        row = cursor.fetchone()
        names = [column.name for column in cursor.description]
    return None if row is None else int(row[names.index("run_id")])


_END_CALL: Final = f"""
    WITH live AS ({_LIVE_ATTEMPT}), ended_calls AS (
        {_ENDED_CALLS}
    ), {SETTLED}, counters AS (
        {counted()}
    )
    SELECT count(*) FROM live
"""


def end_call(conclusion: Conclusion) -> bool:
    """End the call of a conclusion, and nothing else; return False if the attempt has ended."""
    with connection.cursor() as cursor:
        cursor.execute(_END_CALL, _parameters(conclusion))
        return bool(cursor.fetchone()[0])


def has_outcome(attempt_id: int | None, outcome: AttemptOutcome | None) -> bool:
    """Return whether an attempt has ended in this way."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome FROM attempts WHERE id = %s", [attempt_id])
        row = cursor.fetchone()
    return row is not None and outcome is not None and row[0] == outcome


def _parameters(conclusion: Conclusion) -> dict[str, Any]:
    call, run_failure = conclusion.call, conclusion.run_failure
    statuses = [status.value for status in conclusion.statuses]
    return {
        "task_id": conclusion.task_id,
        "step_id": conclusion.step_id,
        "attempt_id": conclusion.attempt_id,
        "attempt_outcome": _value(conclusion.attempt_outcome),
        "call_id": call.id if call else None,
        "call_outcome": _value(call.outcome if call else None),
        "detail": call.detail if call else "",
        "tokens": call.tokens if call else None,
        "cost_usd": call.cost_usd if call else None,
        "state": conclusion.state.value,
        "wake_in_seconds": conclusion.wake_in_seconds,
        "waits_for": _value(conclusion.waits_for),
        "waits_at": conclusion.waits_at,
        "is_over": conclusion.is_over,
        "forgets_request": conclusion.forgets_request,
        "failure": _value(conclusion.failure),
        "answer": _json(conclusion.answer),
        "verdict": _value(conclusion.verdict),
        "confidence": conclusion.confidence,
        "ends_run": conclusion.ends_run,
        "changes_run": conclusion.ends_run or conclusion.verdicts is not None,
        "run_failure": _value(run_failure),
        "failure_detail": f"{SENTENCES[run_failure]} {conclusion.failure_detail}".strip()
        if run_failure
        else "",
        "verdicts": _json(conclusion.verdicts),
        "status": statuses[-1] if statuses else None,
        "statuses": statuses,
        "result_id": uuid4(),
        "result": _json(conclusion.result),
        "result_confidence": conclusion.result_confidence,
        "kinds": [event.kind.value for event in conclusion.events],
        "data": [json.dumps(event.data) for event in conclusion.events],
        "part": counting.part(),
    }


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _value(choice: Any) -> str | None:
    return None if choice is None else str(choice.value)
