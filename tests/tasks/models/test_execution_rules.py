"""What the database refuses in the tables of execution, whatever a worker does."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction

from tasks.models import Arm, Attempt, Budget, Call, Count, Pause, Run, Step, Worker
from tests.factories import TaskFactory
from tests.tasks.lives import NOON, attempt_at, call_of, processing, run_of, step_of

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 1)


def change(model: type[models.Model], **fields: Any) -> Callable[[Call], object]:
    return lambda _: model._default_manager.update(**fields)


def arm(**fields: Any) -> Callable[[Call], object]:
    values = {"name": "other", "protocol": "octollm", "url": "http://arm", "capabilities": []}
    return lambda _: Arm.objects.create(**values | fields)


def twice(model: type[models.Model], **fields: Any) -> Callable[[Call], object]:
    return lambda _: [model._default_manager.create(**fields) for _ in range(2)]


def run(call: Call) -> Run:
    return Run.objects.get(pk=call.attempt.step.run_id)


def another_step(**fields: Any) -> Callable[[Call], object]:
    return lambda call: step_of(run(call), **{"number": 2} | fields)


PARKED = {"state": "ready", "waits_for": "arm", "parked_at": NOON}
DONE = {"state": "done", "ended_at": NOON}
FAILED = {"state": "failed", "ended_at": NOON}
CALL_ENDED = {
    "started_at": NOON,
    "ended_at": NOON + timedelta(hours=1),
    "outcome": "succeeded",
    "tokens": 0,
    "cost_usd": 0,
}


# A constraint, and what it refuses for a task with a call that goes on.
REFUSED: list[Any] = [
    (
        "runs_number_once",
        lambda call: Run.objects.create(task=run(call).task, number=1, ended_at=NOON),
    ),
    ("runs_one_open", lambda call: Run.objects.create(task=run(call).task, number=2)),
    ("runs_number_positive", change(Run, number=0)),
    ("runs_failure_known", change(Run, failure_code="timed_out")),
    ("runs_failure_known", change(Run, failure_code="too late", ended_at=NOON)),
    ("runs_time_known", change(Run, started_at=NOON)),
    ("runs_time_known", change(Run, ends_at=NOON)),
    (
        "budgets_run_id",
        lambda call: Budget.objects.create(run=run(call), max_tokens=1, max_cost_usd=1),
    ),
    ("budgets_day", twice(Budget, day=TODAY)),
    ("budgets_of_a_run_or_a_day", change(Budget, day=TODAY)),
    ("budgets_of_a_run_or_a_day", change(Budget, run=None)),
    ("budgets_of_a_run_or_a_day", change(Budget, max_tokens=None)),
    ("budgets_of_a_run_or_a_day", change(Budget, max_cost_usd=None)),
    ("budgets_of_a_run_or_a_day", lambda _: Budget.objects.create(day=TODAY, max_cost_usd=1)),
    *(
        ("budgets_not_negative", change(Budget, **{column: -1}))
        for column in (
            "reserved_tokens",
            "reserved_usd",
            "spent_tokens",
            "spent_usd",
            "spent_seconds",
        )
    ),
    ("steps_number_once", lambda call: step_of(run(call))),
    ("steps_parked_for_something", change(Step, **PARKED | {"parked_at": None})),
    ("steps_parked_for_something", change(Step, **PARKED | {"waits_for": None})),
    ("steps_parked_for_something", change(Step, **PARKED | {"waits_for": "luck"})),
    ("steps_parked_for_something", change(Step, **PARKED, wake_at=NOON)),
    ("steps_parked_for_something", change(Step, **PARKED | {"state": "running"})),
    ("steps_only_ready_ones_wait", change(Step, wake_at=NOON)),
    ("steps_ended_when_final", change(Step, state="done", request=None)),
    ("steps_ended_when_final", change(Step, state="cancelled", ended_at=NOON)),
    ("steps_ended_when_final", change(Step, state="ready", ended_at=NOON)),
    *(
        ("steps_numbers_not_negative", change(Step, **{column: -1}))
        for column in ("tries", "leases_lost")
    ),
    *(
        ("steps_numbers_not_negative", another_step(**{column: value}))
        for column, value in (("number", -1), ("revision", 0), ("estimated_seconds", -0.5))
    ),
    ("steps_role_known", another_step(role="guess")),
    # Nobody calls an arm for a decision, and nothing else waits for one.
    ("steps_decisions_wait_for_staff", another_step(**PARKED | {"waits_for": "decision"})),
    ("steps_decisions_wait_for_staff", another_step(**PARKED, role="decide")),
    *(
        ("steps_done_with_an_answer", another_step(**fields, answer={"n": 1}))
        for fields in ({}, {"state": "waiting"}, FAILED, FAILED | {"state": "cancelled"})
    ),
    *(
        ("steps_failure_known", another_step(**fields))
        for fields in (
            FAILED | {"failure_code": "too late"},
            FAILED | {"state": "done", "failure_code": "arm_failed"},
            {"failure_code": "arm_failed"},
        )
    ),
    *(
        ("steps_confidence_in_range", another_step(**DONE, confidence=value))
        for value in (-0.1, 1.1, math.nan)
    ),
    ("steps_parked_for_something", another_step(**PARKED | {"state": "waiting"})),
    ("steps_only_ready_ones_wait", another_step(state="waiting", wake_at=NOON)),
    ("steps_ended_when_final", another_step(state="waiting", ended_at=NOON)),
    (
        "attempts_number_once",
        lambda call: attempt_at(call.attempt.step, ended_at=NOON, outcome="done"),
    ),
    ("attempts_one_live", lambda call: attempt_at(call.attempt.step, number=2)),
    ("attempts_ended_with_an_outcome", change(Attempt, ended_at=NOON)),
    ("attempts_ended_with_an_outcome", change(Attempt, outcome="done")),
    ("attempts_ended_with_an_outcome", change(Attempt, ended_at=NOON, outcome="given up")),
    ("calls_number_once", lambda call: call_of(call.attempt)),
    *(
        ("calls_ended_with_an_outcome", change(Call, **CALL_ENDED | {column: None}))
        for column in ("ended_at", "outcome", "tokens", "cost_usd")
    ),
    *(
        ("calls_ended_with_an_outcome", change(Call, **CALL_ENDED | wrong))
        for wrong in (
            {"outcome": "lost"},
            {"tokens": -1},
            {"cost_usd": -1},
            # Before it began.
            {"ended_at": NOON - timedelta(seconds=1)},
        )
    ),
    ("calls_reserve_nothing_negative", change(Call, reserved_tokens=-1)),
    ("calls_reserve_nothing_negative", change(Call, reserved_usd=-1)),
    *(
        ("arms_name_is_plain", arm(name=name))
        for name in ("", "Other", "1st", "a b", "a_b", "a\n", "a" * 65)
    ),
    ("arms_protocol_known", arm(protocol="mcp")),
    ("arms_capabilities_known", arm(capabilities=["execute", "guess"])),
    ("arms_health_known", arm(health="fine")),
    ("arms_room_in_range", arm(room=0)),
    ("arms_room_in_range", arm(room=100_000)),
    ("arms_timeout_in_range", arm(timeout_seconds=0)),
    ("arms_timeout_in_range", arm(timeout_seconds=100_000)),
    ("arms_prices_not_negative", arm(usd_per_million_input=-1)),
    ("arms_prices_not_negative", arm(usd_per_million_output=-1)),
    ("pauses_one_at_a_time", twice(Pause, actor="ada", reason="")),
    ("counts_part_once", twice(Count, name="tasks", labels=["pending"], shard=1, value=1)),
]


@pytest.mark.parametrize(("constraint", "refused"), REFUSED)
def test_the_database_refuses(constraint: str, refused: Callable[[Call], object]) -> None:
    call = processing(TaskFactory())
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        refused(call)


def test_the_database_refuses_an_unknown_state() -> None:
    processing(TaskFactory())
    # Both constraints know the states, and PostgreSQL names the first one that is broken.
    known = "steps_state_known|steps_ended_when_final"
    with pytest.raises(IntegrityError, match=known), transaction.atomic():
        Step.objects.update(state="lost")


def test_each_constraint_has_a_case() -> None:
    tables = (Arm, Attempt, Budget, Call, Count, Pause, Run, Step, Worker)
    named = {constraint.name for table in tables for constraint in table._meta.constraints}
    cases = {(case.values if hasattr(case, "values") else case)[0] for case in REFUSED}
    assert named - cases == {"steps_state_known"}


@pytest.mark.parametrize(
    "allowed",
    [
        change(Step, **PARKED),
        change(Step, state="ready", wake_at=NOON),
        change(Step, state="done", ended_at=NOON, request=None),
        another_step(state="waiting", depends_on=[1]),
        # The making of a plan, which begins each revision.
        another_step(role="plan", number=0),
        lambda call: [step_of(run(call), number=0, revision=revision) for revision in (1, 2)],
        another_step(**PARKED | {"waits_for": "decision"}, role="decide"),
        another_step(**DONE, role="decide", answer={"outcome": "accepted"}),
        another_step(**DONE, answer=0, confidence=0, verdict="flagged"),
        another_step(**DONE, answer={}, confidence=1),
        another_step(**FAILED, failure_code="output_refused"),
        change(Run, verdicts=[]),
        change(Run, failure_code="timed_out", ended_at=NOON),
        change(Run, started_at=NOON, ends_at=NOON),
        change(Attempt, ended_at=NOON, outcome="lost"),
        change(Call, **CALL_ENDED),
        # A clock that stands still.
        change(Call, **CALL_ENDED | {"ended_at": NOON}),
        lambda _: Budget.objects.create(day=TODAY, spent_usd=1),
        arm(name="a" * 40, room=1),
        lambda _: [Pause.objects.create(actor="ada", reason="", ended_at=NOON) for _ in range(2)],
    ],
)
def test_the_database_allows(allowed: Callable[[Call], object]) -> None:
    allowed(processing(TaskFactory()))


@pytest.mark.parametrize(
    "column",
    [
        "run_id", "task_id", "role", "revision", "number", "action", "acceptance_criteria",
        "capability", "pinned_arm", "depends_on", "estimated_seconds", "faults",
    ],
)  # fmt: skip
def test_what_defines_a_step_never_changes(column: str) -> None:
    step = processing(TaskFactory()).attempt.step
    # Not even to what it is already.
    with (
        pytest.raises(IntegrityError, match="What defines a step cannot be changed"),
        transaction.atomic(),
    ):
        Step.objects.update(**{column: getattr(step, column)})


def test_what_defines_a_step_never_changes_by_sql() -> None:
    processing(TaskFactory())
    with (
        pytest.raises(IntegrityError, match="What defines a step cannot be changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE steps SET action = 'Something else'")


def test_all_else_of_a_step_may_change() -> None:
    processing(TaskFactory())
    Step.objects.update(
        state="done", ended_at=NOON, request=None, answer="done", confidence=0.5, verdict="safe",
        rank=7, tries=1, leases_lost=1, arm="helper",
    )  # fmt: skip
    assert Step.objects.get().answer == "done"


def test_a_step_without_fields_is_ready_and_waits_for_nothing() -> None:
    step = step_of(run_of(TaskFactory()))
    step.refresh_from_db()
    assert (step.state, step.wake_at, step.waits_for, step.waits_at) == ("ready", None, None, "")
    assert (step.tries, step.leases_lost, step.revision, step.number) == (0, 0, 1, 1)
    assert (step.role, step.action, step.pinned_arm, step.depends_on) == ("execute", "", None, [])
    assert (step.answer, step.verdict, step.failure_code, step.faults) == (None, None, None, [])


def test_a_cost_is_exact_to_eight_decimals() -> None:
    call = processing(TaskFactory())
    Call.objects.update(reserved_usd="99999999.00000001")
    call.refresh_from_db()
    assert str(call.reserved_usd) == "99999999.00000001"


@pytest.mark.parametrize(
    ("fields", "lives"),
    [
        ({}, True),
        ({"seen_at": NOON}, False),
        ({"ended_at": NOON}, False),
    ],
)
def test_a_worker_lives_by_its_signs(fields: dict[str, Any], lives: bool) -> None:
    Worker.objects.create(machine="host", process=1, version="1", concurrency=8, **fields)
    assert Worker.objects.alive().exists() == lives
