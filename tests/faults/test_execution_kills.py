"""A worker that is killed, stopped or cut off at every point of its work; another one goes on.

Each case has two tasks, one at an arm that is idempotent and one at an arm that is not. Either they
are one step each, or they are planned, carried out side by side, repaired and judged.
"""

import contextlib
import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.kills import (
    CRITERIA,
    POINTS,
    ROLES,
    STATEMENTS,
    held,
    held_in_plan,
    let_leases_run_out,
    make_holdable,
    works_on_plans,
)
from tests.faults.trial import SHORT, Form
from tests.postgresql import Postgresql, as_service
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.tasks.execution import rules_that_hold
from tests.waiting import wait_until
from tests.witness import WitnessArm
from tests.workers import Database, WorkerProcess, declared, status_of, submit

# After `kill -9` of a worker, another one ends its tasks within this time.
GOES_ON_SECONDS = 45
FAULTS = ("killed", "stopped past its lease", "terminated", "cut off from the database")
FAULTS_OF_THE_SHORT_FORM = ("killed", "stopped past its lease")
# Of planned tasks, whose worker is killed at all points.
STOPPED_IN_THE_SHORT_FORM = ("execute", "during the call", "stopped past its lease")
NAMES = ("safe", "unsafe")
# Longer than the reconciler of a new worker leaves all leases alone.
QUIET_SECONDS = 16


@pytest.fixture(scope="module")
def reflex_layer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, WitnessArm]]:
    """The arms by name; the first two carry out tasks and steps, the last two plan and judge."""
    folder = tmp_path_factory.mktemp("witnesses")
    with contextlib.ExitStack() as opened:
        yield {
            name: opened.enter_context(WitnessArm(folder / name))
            for name in (*NAMES, "planner", "judge")
        }


@pytest.fixture(scope="module")
def variables(
    server: Postgresql, arms: dict[str, WitnessArm], reflex_layer: ScriptedReflexLayer
) -> dict[str, Any]:
    """The settings of the workers."""
    declarations = [
        declared("safe", arms["safe"].url, idempotent=True),
        declared("unsafe", arms["unsafe"].url, idempotent=False),
        declared("planner", arms["planner"].url, idempotent=True, capability="plan"),
        declared("judge", arms["judge"].url, idempotent=True, capability="validate"),
    ]
    return {
        "DATABASE_URL": as_service(server.url),
        "REFLEX_URL": reflex_layer.url,
        "ARMS": ",".join(declarations),
        "WORKER_CONCURRENCY": 10,
        "WORKER_DRAIN_SECONDS": 1,
    }


@pytest.fixture(scope="module")
def other(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, Any]
) -> Iterator[WorkerProcess]:
    """The worker that goes on. It has run for some time."""
    with WorkerProcess(tmp_path_factory.mktemp("other"), **variables) as worker:
        worker.until_started()
        time.sleep(QUIET_SECONDS)
        yield worker


@pytest.fixture(scope="module", autouse=True)
def _holdable(server: Postgresql) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        make_holdable(connection)


@pytest.fixture
def database(server: Postgresql) -> Iterator[Database]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_is_lost_at_any_point_loses_nothing(
    point: str,
    fault: str,
    tmp_path: Path,
    server: Postgresql,
    database: Database,
    variables: dict[str, Any],
    arms: dict[str, WitnessArm],
    reflex_layer: ScriptedReflexLayer,
    other: WorkerProcess,
    form: Form,
) -> None:
    if form is SHORT and fault not in FAULTS_OF_THE_SHORT_FORM:
        pytest.skip("only in the long form")
    holds = held(point, server.url, [arms[name] for name in NAMES], reflex_layer)
    with WorkerProcess(tmp_path, **variables) as worker:
        ids = lose(worker, other, database, fault, point, holds)
        for arm in arms.values():
            arm.then = WitnessArm(arm.file).then
        reflex_layer.behaviour = says(answer())
        go_on(worker, database, fault, ids)
    check(database, arms, ids)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("role", ROLES)
def test_a_worker_that_is_lost_while_a_planned_task_is_carried_out_loses_nothing(
    role: str,
    point: str,
    fault: str,
    tmp_path: Path,
    server: Postgresql,
    database: Database,
    variables: dict[str, Any],
    arms: dict[str, WitnessArm],
    reflex_layer: ScriptedReflexLayer,
    other: WorkerProcess,
    form: Form,
) -> None:
    is_short = fault == "killed" or (role, point, fault) == STOPPED_IN_THE_SHORT_FORM
    if form is SHORT and not is_short:
        pytest.skip("only in the long form")
    for arm in arms.values():
        arm.then = works_on_plans
    fields = {"priority": "high", "acceptance_criteria": json.dumps(CRITERIA)}
    holds = held_in_plan(point, role, server.url, [*arms.values()], reflex_layer)
    with WorkerProcess(tmp_path, **variables) as worker:
        ids = lose(worker, other, database, fault, point, holds, **fields)
        for arm in arms.values():
            arm.then = works_on_plans
        reflex_layer.behaviour = says(answer())
        go_on(worker, database, fault, ids)
        for arm in arms.values():
            arm.then = WitnessArm(arm.file).then
    check(database, arms, ids)
    check_plans(database, arms)


def lose(
    worker: WorkerProcess,
    other: WorkerProcess,
    database: Database,
    fault: str,
    point: str,
    holds: contextlib.AbstractContextManager[Callable[[], None]],
    **fields: Any,
) -> dict[str, uuid.UUID]:
    """Submit the tasks, and strike the worker when they are held; return their ids."""
    worker.until_started()
    other.signal(signal.SIGSTOP)
    try:
        with holds as until_held:
            ids = {name: submit(database, assigned_arm=name, **fields) for name in NAMES}
            until_held()
            strike(fault, worker, database)
            # What a stopped worker holds in PostgreSQL, it holds until it goes on.
            if fault == "stopped past its lease" and point not in STATEMENTS:
                let_leases_run_out(database)
                other.signal(signal.SIGCONT)
                until_ended(database, ids)
    finally:
        other.signal(signal.SIGCONT)
    return ids


def go_on(worker: WorkerProcess, database: Database, fault: str, ids: dict[str, uuid.UUID]) -> None:
    """Let another worker, or this one, end the tasks; what is late changes nothing."""
    if fault == "stopped past its lease":
        worker.signal(signal.SIGCONT)
    elif fault == "killed":
        let_leases_run_out(database)
    until_ended(database, ids)
    before = rows(database, ids)
    if fault in ("stopped past its lease", "cut off from the database"):
        # What it still brings changes nothing, and it goes on with other work.
        until_ended(database, {"safe": submit(database, assigned_arm="safe")})
        assert worker.process.poll() is None
    assert rows(database, ids) == before


def strike(fault: str, worker: WorkerProcess, database: Database) -> None:
    match fault:
        case "killed":
            worker.kill()
        case "stopped past its lease":
            worker.signal(signal.SIGSTOP)
        case "terminated":
            worker.signal(signal.SIGTERM)
            # It ends by itself, with its calls or after the time that they get.
            worker.process.wait(20)
        case "cut off from the database":
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename LIKE '%_service' AND pid <> pg_backend_pid()"
            )


def until_ended(database: Database, ids: dict[str, uuid.UUID]) -> None:
    ended = {"completed", "failed"}
    wait_until(
        lambda: all(status_of(database, task_id) in ended for task_id in ids.values()),
        GOES_ON_SECONDS,
    )


def rows(database: Database, ids: dict[str, uuid.UUID]) -> list[list[Any]]:
    """Return everything about these tasks that a worker may write."""
    statements = (
        "SELECT id, status, updated_at, has_result FROM tasks WHERE id = ANY(%s) ORDER BY id",
        "SELECT * FROM runs WHERE task_id = ANY(%s) ORDER BY id",
        "SELECT * FROM steps WHERE task_id = ANY(%s) ORDER BY id",
        "SELECT calls.* FROM calls JOIN steps ON steps.id = step_id WHERE task_id = ANY(%s)"
        " ORDER BY id",
        "SELECT * FROM task_results WHERE task_id = ANY(%s) ORDER BY id",
        "SELECT * FROM task_events WHERE task_id = ANY(%s) ORDER BY id",
    )
    return [database.execute(one, [[*ids.values()]]).fetchall() for one in statements]


def check(database: Database, arms: dict[str, WitnessArm], ids: dict[str, uuid.UUID]) -> None:
    """Compare what the arms saw with what the database says."""
    steps = {
        str(step_id): (name, status)
        for step_id, name, status in database.execute(
            "SELECT steps.id, calls.arm, status FROM steps JOIN tasks ON tasks.id = task_id"
            " JOIN calls ON calls.step_id = steps.id"
        ).fetchall()
    }
    for name, arm in arms.items():
        carried_out = arm.carried_out
        assert {steps[key][0] for key in carried_out} <= {name}
        completed = {key for key, found in steps.items() if found == (name, "completed")}
        assert completed <= set(carried_out)
    assert not [key for key, times in arms["unsafe"].carried_out.items() if times > 1]
    assert status_of(database, ids["safe"]) == "completed"
    failures = database.execute(
        "SELECT failure_code FROM runs WHERE task_id = %s AND failure_code IS NOT NULL",
        [ids["unsafe"]],
    ).fetchall()
    assert set(failures) <= {("outcome_unknown",)}
    left = database.execute(
        "SELECT (SELECT count(*) FROM attempts WHERE ended_at IS NULL),"
        " (SELECT count(*) FROM calls WHERE ended_at IS NULL),"
        " (SELECT coalesce(sum(reserved_tokens), 0) FROM budgets)"
    ).fetchone()
    assert left == (0, 0, 0)


def check_plans(database: Database, arms: dict[str, WitnessArm]) -> None:
    """Compare the steps of all tasks with what the arms saw, and look for broken rules."""
    for name, rule in (rules_that_hold.ALL | rules_that_hold.LOST).items():
        assert database.execute(rule).fetchall() == [], name
    done = database.execute(
        "SELECT id::text, arm FROM steps WHERE state = 'done' AND arm IS NOT NULL"
    ).fetchall()
    assert not [key for key, arm in done if arms[arm].carried_out[key] < 1]
    results = database.execute(
        "SELECT DISTINCT result_data FROM task_results JOIN tasks ON tasks.id = task_id"
        " WHERE status = 'completed' AND priority = 'high'"
    ).fetchall()
    assert results == [("good",)]
