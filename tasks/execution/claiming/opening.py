"""Looking at a step before a claim: all that decides what happens to it, with its rows locked.

Rows are always locked in this order: task, step, arm. The lock of a task is short, and it is the
same that a cancel takes.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.arms.description import Capability, Protocol
from tasks.execution import bells
from tasks.execution.outcomes import CallOutcome
from tasks.execution.runs.keys import FIRST_REVISION, FIRST_STEP, PLANNING, step_id
from tasks.execution.runs.needs import is_planned
from tasks.execution.runs.options import Planning
from tasks.execution.runs.state import texts_in
from tasks.states import StepRole


@dataclass(frozen=True)
class LastCall:
    """The last call of a step.

    Attributes:
        id: None if there was none.
        outcome: None if it goes on.
    """

    id: int | None = None
    outcome: str | None = None
    reserved_tokens: int = 0
    reserved_usd: Decimal = Decimal(0)

    @property
    def open_tokens(self) -> int:
        """What the budget keeps for it."""
        return 0 if self.outcome else self.reserved_tokens

    @property
    def open_usd(self) -> Decimal:
        return Decimal(0) if self.outcome else self.reserved_usd


NO_CALL: Final = LastCall()


@dataclass(frozen=True)
class Opened:
    """A step whose rows are locked, as they are.

    Attributes:
        now: the time of the database.
        is_paused: whether no new call may begin.
        run_id: None if the run is still to be made; then there is no row of the step either.
        run_pin: the only arm that may carry out the task; None for any.
        step: the number of the step, and `role` to `faults` what it is; see `tasks.models.Step`.
        pinned_arm: the only arm that may get the step; None for any.
        authors: the arms that had a part in the result which the step judges.
        sharers: how many steps of the plan, with this one, share what is left of the budget.
        arm: the arm that `request` was made for.
        request: the bytes that were sent first; None if nothing was sent.
        ends_at: when the time of the run is over; None before the first claim.
        run_parked_at: since when all open steps of the run are parked; None if one is not.
        attempt_id: the attempt that goes on; None if there is none.
        has_lease: whether nobody may take that attempt over.
        has_unknown: whether the outcome of one of its calls is unknown. Its arm may have carried it
            out, so no other arm may get it.
        left_tokens, left_usd: what is neither spent nor reserved.
        has_open_calls: whether calls of the run have reserved a part of the budget.
    """

    now: datetime
    is_paused: bool
    task_id: UUID
    client_id: UUID | None
    status: str
    goal: str
    constraints: list[str]
    context: dict[str, Any]
    acceptance_criteria: list[str]
    priority: str
    created_at: datetime
    max_time_seconds: int
    max_tokens: int
    max_cost_usd: Decimal
    rank: int
    run: int
    step_id: UUID
    capability: str
    run_pin: str | None
    pinned_arm: str | None
    left_tokens: int
    left_usd: Decimal
    has_open_calls: bool = False
    run_id: int | None = None
    step: int = FIRST_STEP
    role: str = StepRole.EXECUTE.value
    action: str = ""
    step_criteria: list[str] = field(default_factory=list)
    depends_on: list[int] = field(default_factory=list)
    faults: list[Any] = field(default_factory=list)
    authors: list[str] | None = None
    sharers: int = 1
    arm: str | None = None
    is_arm_idempotent: bool | None = None
    arm_protocol: str | None = None
    request: bytes | None = None
    tries: int = 0
    leases_lost: int = 0
    attempts: int = 0
    wake_at: datetime | None = None
    waits_for: str | None = None
    run_parked_at: datetime | None = None
    ends_at: datetime | None = None
    attempt_id: int | None = None
    has_lease: bool = False
    has_unknown: bool = False
    last_call: LastCall = NO_CALL

    @property
    def place(self) -> dict[str, Any]:
        """Where it is, for events of the task."""
        return place_of(self.run, self.step, self.role)

    @property
    def is_all(self) -> bool:
        """Whether the task is done with this step: it is no plan, and no result is checked."""
        is_whole = self.role == StepRole.EXECUTE and not self.action
        return is_whole and not self.acceptance_criteria

    @property
    def charges_repeats(self) -> bool:
        """Whether the arm is paid again for a request that it gets again with the same key.

        It is not if it knows the key: then it carries the request out once.
        """
        return not (self.is_arm_idempotent and self.arm_protocol == Protocol.OCTOLLM)

    @property
    def run_ends_at(self) -> datetime:
        """When the time of the run is over if it goes on now; parked time does not count."""
        if self.ends_at is None:
            return self.now + timedelta(seconds=self.max_time_seconds)
        since = self.run_parked_at
        return self.ends_at + (self.now - since if since else timedelta())

    @property
    def seconds_left(self) -> float:
        return (self.run_ends_at - self.now).total_seconds()


# A statement that had to wait for a lock sees the locked rows as they are, and all others as they
# were before. So the lock is a statement of its own, and the next one reads.
_LOCK_TASK: Final = "SELECT FROM tasks WHERE id = %s AND status = 'pending' FOR NO KEY UPDATE"
_LOCK_STEP: Final = """
    SELECT FROM tasks JOIN steps ON steps.task_id = tasks.id
    WHERE steps.id = %s FOR NO KEY UPDATE OF tasks, steps
"""
# Each column has the name of the attribute of `Opened`.
_TASK: Final = """
    clock_timestamp() AS now,
    EXISTS (SELECT 1 FROM pauses WHERE ended_at IS NULL) AS is_paused,
    tasks.id AS task_id, tasks.client_id, status, goal, constraints, context,
    tasks.acceptance_criteria, tasks.priority, tasks.created_at, tasks.max_time_seconds,
    tasks.max_tokens, tasks.max_cost_usd
"""
_PENDING_TASK: Final = f"""
    SELECT {_TASK}, assigned_arm, last_run.number AS last_number,
        last_run.pinned_arm AS last_pin, (
            SELECT calls.arm FROM steps JOIN calls ON calls.step_id = steps.id
            WHERE steps.task_id = tasks.id AND role IN ('execute', 'repair')
            ORDER BY calls.id DESC LIMIT 1
        ) AS last_arm
    FROM tasks LEFT JOIN LATERAL (
        SELECT number, pinned_arm FROM runs
        WHERE task_id = tasks.id ORDER BY number DESC LIMIT 1
    ) AS last_run ON true
    WHERE tasks.id = %s AND status = 'pending'
        AND NOT EXISTS (
            SELECT 1 FROM runs WHERE runs.task_id = tasks.id AND ended_at IS NULL
        )
"""
_STEP: Final = f"""
    SELECT {_TASK}, steps.rank, runs.id AS run_id, runs.number AS run, steps.id AS step_id,
        capability, steps.number AS step, role, action, depends_on, faults,
        steps.acceptance_criteria AS step_criteria, runs.pinned_arm AS run_pin,
        CASE WHEN role IN ('execute', 'repair') THEN coalesce(runs.pinned_arm, steps.pinned_arm) END
            AS pinned_arm,
        CASE WHEN role = 'judge' THEN ARRAY(
            SELECT others.arm FROM steps AS others
            WHERE others.run_id = runs.id AND others.role IN ('execute', 'repair')
                AND others.arm IS NOT NULL
        ) END AS authors,
        CASE WHEN action = '' OR role <> 'execute' THEN 1 ELSE (
            SELECT count(*) FROM steps AS others
            WHERE others.run_id = runs.id AND others.role = 'execute'
                AND (others.state IN ('waiting', 'ready') OR others.id = steps.id)
        ) END AS sharers,
        steps.arm, made_for.is_idempotent AS is_arm_idempotent,
        made_for.protocol AS arm_protocol, request, tries, leases_lost,
        coalesce(last_attempt.number, 0) AS attempts, wake_at, waits_for,
        runs.parked_at AS run_parked_at, ends_at,
        CASE WHEN last_attempt.ended_at IS NULL THEN last_attempt.id END AS attempt_id,
        coalesce(
            last_attempt.ended_at IS NULL AND lease_until > clock_timestamp(), false
        ) AS has_lease,
        EXISTS (
            SELECT 1 FROM calls WHERE step_id = steps.id AND outcome = '{CallOutcome.UNKNOWN}'
        ) AS has_unknown,
        last_call.id AS call_id, last_call.outcome AS call_outcome,
        coalesce(last_call.reserved_tokens, 0) AS call_tokens,
        coalesce(last_call.reserved_usd, 0) AS call_usd,
        budgets.max_tokens - spent_tokens - budgets.reserved_tokens AS left_tokens,
        budgets.max_cost_usd - spent_usd - budgets.reserved_usd AS left_usd,
        budgets.reserved_tokens > 0 OR budgets.reserved_usd > 0 AS has_open_calls
    FROM steps
    JOIN runs ON runs.id = steps.run_id
    JOIN tasks ON tasks.id = steps.task_id
    JOIN budgets ON budgets.run_id = runs.id
    LEFT JOIN arms AS made_for ON made_for.name = steps.arm
    LEFT JOIN LATERAL (
        SELECT id, number, lease_until, ended_at FROM attempts
        WHERE step_id = steps.id ORDER BY number DESC LIMIT 1
    ) AS last_attempt ON true
    LEFT JOIN LATERAL (
        SELECT id, outcome, reserved_tokens, reserved_usd FROM calls
        WHERE step_id = steps.id ORDER BY number DESC LIMIT 1
    ) AS last_call ON true
    WHERE steps.id = %s AND steps.state IN ('ready', 'running')
        AND tasks.status IN ('pending', 'processing') AND runs.ended_at IS NULL
"""
_JSON_COLUMNS: Final = {"context", "step_criteria", "faults"}
_COLUMNS_OF_TEXTS: Final = {"constraints", "acceptance_criteria"}


def place_of(run: int, step: int, role: str) -> dict[str, Any]:
    """Return where a step is, for events; those of a plan are known by their numbers."""
    place = {"run": run, "step": step}
    return place if role == StepRole.EXECUTE else place | {"role": role}


def open_task(task_id: UUID, planning: Planning) -> Opened | None:
    """Lock a pending task that has no open run; return the step that its next run begins with.

    That is the making of a plan, or the task as a whole.

    Return None if there is no such task, so that there is nothing to do.
    """
    task = _read(_LOCK_TASK, _PENDING_TASK, task_id)
    if task is None:
        return None
    assigned_arm, last_arm, last_pin = (
        task.pop(name) for name in ("assigned_arm", "last_arm", "last_pin")
    )
    run = (task.pop("last_number") or 0) + 1
    # An arm that an earlier run chose by itself does not bind this one.
    pin = last_pin if assigned_arm == last_arm else assigned_arm
    makes_plan = is_planned(
        planning,
        goal=task["goal"],
        constraints=task["constraints"],
        acceptance_criteria=task["acceptance_criteria"],
        priority=task["priority"],
    )
    step = PLANNING if makes_plan else FIRST_STEP
    return Opened(
        **task,
        rank=bells.rank(
            task["priority"], task["created_at"], is_anonymous=task["client_id"] is None
        ),
        run=run,
        step_id=step_id(task_id, run=run, revision=FIRST_REVISION, step=step),
        step=step,
        role=(StepRole.PLAN if makes_plan else StepRole.EXECUTE).value,
        capability=(Capability.PLAN if makes_plan else Capability.EXECUTE).value,
        run_pin=pin,
        pinned_arm=None if makes_plan else pin,
        left_tokens=task["max_tokens"],
        left_usd=task["max_cost_usd"],
    )


def open_step(step_id: UUID) -> Opened | None:
    """Lock an unfinished step and its task; return None if there is no such step."""
    step = _read(_LOCK_STEP, _STEP, step_id)
    if step is None:
        return None
    call = LastCall(*(step.pop(f"call_{name}") for name in ("id", "outcome", "tokens", "usd")))
    return Opened(**step, last_call=call)


def _read(lock: str, statement: str, row_id: UUID) -> dict[str, Any] | None:
    """Lock a row, and return the row of `statement` by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(lock, [row_id])
        cursor.execute(statement, [row_id])
        row = cursor.fetchone()
        if row is None:
            return None
        values = dict(zip((column.name for column in cursor.description), row, strict=True))
    # Django returns jsonb as text.
    values |= {name: texts_in(values[name]) for name in _COLUMNS_OF_TEXTS}
    values |= {name: json.loads(values[name]) for name in _JSON_COLUMNS & values.keys()}
    if not isinstance(values["context"], dict):
        # SQL can store other values than the API.
        values["context"] = {"context": values["context"]}
    return values
