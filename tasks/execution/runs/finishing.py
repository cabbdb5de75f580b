"""Writing what became of a step together with what its run does next, in one transaction."""

import json
from dataclasses import replace
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from tasks.execution import bells
from tasks.execution.concluding import Conclusion, conclude, lock, status_events
from tasks.execution.endings import CANCELLED, end_runs
from tasks.execution.runs.keys import step_id
from tasks.execution.runs.moves import Move, NewStep, next_move
from tasks.execution.runs.options import RunOptions
from tasks.execution.runs.state import RunState, read_run
from tasks.states import Status, StepRole, WaitsFor

# A new step has the client and the rank of that which has ended.
_INSERT: Final = f"""
    WITH new AS (
        INSERT INTO steps (id, run_id, task_id, client_id, rank, role, revision, number, state,
            capability, action, acceptance_criteria, pinned_arm, depends_on, estimated_seconds,
            faults, waits_for, parked_at)
        SELECT new.id, ended.run_id, ended.task_id, ended.client_id, ended.rank, new.role,
            new.revision, new.number, new.state, new.capability, new.action,
            new.acceptance_criteria, new.pinned_arm, new.depends_on, new.estimated_seconds,
            new.faults, new.waits_for,
            CASE WHEN new.waits_for IS NOT NULL THEN clock_timestamp() END
        FROM steps AS ended, jsonb_to_recordset(%(new)s::jsonb) AS new (
            id uuid, role text, revision integer, number integer, state text, capability text,
            action text, acceptance_criteria jsonb, pinned_arm text, depends_on integer[],
            estimated_seconds float, faults jsonb, waits_for text
        )
        WHERE ended.id = %(ended)s
        RETURNING id, rank, state, waits_for
    )
    {bells.ring_steps("SELECT id, rank FROM new WHERE state = 'ready' AND waits_for IS NULL")}
"""
_START: Final = f"""
    WITH started AS (
        UPDATE steps SET state = 'ready'
        WHERE run_id = %(run_id)s AND number = ANY(%(numbers)s) AND state = 'waiting'
        RETURNING id, rank
    )
    {bells.ring_steps("SELECT id, rank FROM started")}
"""
# What an arm may have carried out goes on, until it is known.
_STOP: Final = f"""
    UPDATE steps SET {CANCELLED}
    WHERE run_id = %(run_id)s AND state IN ('waiting', 'ready') AND role = 'execute'
        AND NOT EXISTS (SELECT 1 FROM calls WHERE step_id = steps.id AND outcome = 'unknown')
"""
# The time of a run stands still exactly as long as all its open steps are parked.
_KEEP_TIME: Final = """
    UPDATE runs SET
        ends_at = ends_at + CASE
            WHEN steps_go_on THEN coalesce(clock_timestamp() - runs.parked_at, interval '0')
            ELSE interval '0'
        END,
        parked_at = CASE WHEN NOT steps_go_on THEN coalesce(runs.parked_at, clock_timestamp()) END
    FROM (
        SELECT EXISTS (
            SELECT 1 FROM steps
            WHERE run_id = %(run_id)s AND state IN ('ready', 'running') AND waits_for IS NULL
        ) AS steps_go_on
    ) AS now
    WHERE runs.id = %(run_id)s AND started_at IS NOT NULL
"""


class Written(NamedTuple):
    """What was written.

    Attributes:
        conclusion: the conclusion with the end of the run, if that followed.
        others_wait: whether steps are parked that the place at the arm may be for.
    """

    conclusion: Conclusion
    others_wait: bool


def finish(conclusion: Conclusion, options: RunOptions) -> Written | None:
    """Write a conclusion, and what its run does next if the step is over and the run is not.

    Return None if the attempt or the step has ended: then nothing was written.
    """
    if conclusion.waits_for:
        # Of two steps that are parked at the same time, the second one has to see the first.
        with transaction.atomic():
            return None if lock(conclusion) is None else _written(conclusion)
    if not conclusion.is_over or conclusion.ends_run:
        return _written(conclusion)
    with transaction.atomic():
        run_id = lock(conclusion)
        if run_id is None:
            return None
        run = read_run(run_id, conclusion)
        move = next_move(run, options)
        written = _written(_with(move, conclusion))
        _write(move, run)
    return written


def _written(conclusion: Conclusion) -> Written | None:
    others_wait = conclude(conclusion)
    return None if others_wait is None else Written(conclusion, others_wait)


def _with(move: Move, conclusion: Conclusion) -> Conclusion:
    """Return the conclusion with what the move says about the run and its task."""
    events = [*conclusion.events, *move.events]
    judgements = move.judgements
    verdicts = None if judgements is None else [judgement.stored for judgement in judgements]
    if move.ending is None:
        return replace(conclusion, verdicts=verdicts, events=events)
    ending = move.ending
    status = Status.FAILED if ending.failure else Status.COMPLETED
    return replace(
        conclusion,
        verdicts=verdicts,
        ends_run=True,
        run_failure=ending.failure,
        failure_detail=ending.detail,
        result=ending.result,
        result_confidence=ending.confidence,
        statuses=[*conclusion.statuses, status],
        events=[*events, *status_events(Status.PROCESSING, [status])],
    )


def _write(move: Move, run: RunState) -> None:
    if move.ending:
        if any(node.is_open for node in run.nodes):
            end_runs([run.task_id])
        return
    parameters: dict[str, Any] = {"run_id": run.id, "ended": run.ended.id}
    with connection.cursor() as cursor:
        if move.stops:
            cursor.execute(_STOP, parameters)
        if move.new_steps:
            rows = [_row(step, run) for step in move.new_steps]
            cursor.execute(_INSERT, parameters | {"new": json.dumps(rows)})
        if move.starts:
            cursor.execute(_START, parameters | {"numbers": [*move.starts]})
        cursor.execute(_KEEP_TIME, parameters)


def _row(step: NewStep, run: RunState) -> dict[str, Any]:
    key = step_id(run.task_id, run=run.number, revision=step.revision, step=step.number)
    return {
        "id": str(key),
        "role": step.role,
        "revision": step.revision,
        "number": step.number,
        "state": step.state,
        "capability": step.capability,
        "action": step.action,
        "acceptance_criteria": step.acceptance_criteria,
        "pinned_arm": step.pinned_arm,
        "depends_on": step.depends_on,
        "estimated_seconds": step.estimated_seconds,
        "faults": step.faults,
        "waits_for": WaitsFor.DECISION if step.role is StepRole.DECIDE else None,
    }
