"""A worker process: how it starts, works, stops and ends, and what it says meanwhile."""

import signal
import time
from pathlib import Path

import psycopg
import pytest
import requests

from tests.arms import Held, ScriptedArm, succeeds
from tests.ports import free_port
from tests.postgresql import as_service
from tests.tasks.execution.processes.conftest import Database, StartWorker
from tests.workers import WorkerProcess, metrics_of, status_of, submit, until_status

# A signal that comes later than this is another one.
SAME_SIGNAL_SECONDS = 2.0
SECRETS = ("planted-goal", "planted-context", "planted-answer", "planted-error", "planted-token")


def test_a_submission_is_carried_out_at_once(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    start()
    began_at = time.monotonic()
    until_status(database, submit(database), "completed")
    assert time.monotonic() - began_at < 3
    assert len(arm.work) == 1


def test_it_declares_the_arms_of_its_settings(start: StartWorker, database: Database) -> None:
    start()
    rows = database.execute("SELECT name, is_idempotent FROM arms").fetchall()
    assert rows == [("helper", True)]


def test_a_signal_lets_the_calls_end(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    worker = start()
    task_id = submit(database)
    assert held.arrived.wait(20)
    worker.signal(signal.SIGTERM)
    worker.until_logged("Worker stops")
    held.release()
    assert worker.process.wait(20) == 0
    assert status_of(database, task_id) == "completed"
    ended = database.execute("SELECT ended_at IS NOT NULL FROM workers").fetchall()
    assert (True,) in ended


def test_a_worker_that_stops_takes_no_more_work(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    worker = start()
    submit(database)
    assert held.arrived.wait(20)
    worker.signal(signal.SIGTERM)
    worker.until_logged("Worker stops")
    later = submit(database)
    held.release()
    assert worker.process.wait(20) == 0
    assert status_of(database, later) == "pending"
    assert len(arm.work) == 1


def test_two_signals_together_are_one(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    worker = start()
    task_id = submit(database)
    assert held.arrived.wait(20)
    worker.signal(signal.SIGINT)
    worker.until_logged("Worker stops")
    worker.signal(signal.SIGTERM)
    held.release()
    assert worker.process.wait(20) == 0
    assert status_of(database, task_id) == "completed"


def test_a_later_signal_ends_it_at_once_and_gives_its_leases_back(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    worker = start()
    submit(database)
    assert held.arrived.wait(20)
    worker.signal(signal.SIGTERM)
    worker.until_logged("Worker stops")
    time.sleep(SAME_SIGNAL_SECONDS + 0.2)
    signalled_at = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(10) == 0
    assert time.monotonic() - signalled_at < 2
    left = database.execute(
        "SELECT count(*) FROM attempts WHERE ended_at IS NULL AND lease_until > clock_timestamp()"
    ).fetchone()
    assert left == (0,)


def test_what_does_not_end_in_time_goes_on_with_another_worker_at_once(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = Held()
    arm.behaviour = held
    first = start(WORKER_DRAIN_SECONDS=1)
    task_id = submit(database)
    assert held.arrived.wait(20)
    start()
    # The other has looked for lost work before, so it knows that the database was not away.
    time.sleep(12)
    arm.behaviour = succeeds("by the other")
    first.signal(signal.SIGTERM)
    assert first.process.wait(10) == 0
    left_at = time.monotonic()
    until_status(database, task_id, "completed", seconds=15)
    assert time.monotonic() - left_at < 8
    assert len({request.body for request in arm.work}) == 1


def test_it_ends_by_a_hangup_of_its_terminal(start: StartWorker) -> None:
    worker = start()
    worker.signal(signal.SIGHUP)
    assert worker.process.wait(20) == 0


def test_health_and_metrics_have_a_port_of_their_own(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    port = free_port()
    start(WORKER_METRICS_PORT=port, HOST="127.0.0.1")
    submit(database)
    assert held.arrived.wait(20)
    health = metrics_of(port, "/health")
    assert (health.status_code, health.json()) == (200, {"status": "healthy"})
    assert "octollm_orchestrator_worker_open_calls 1.0" in metrics_of(port, "/metrics").text
    assert metrics_of(port, "/tasks").status_code == 404
    held.release()


def test_without_a_port_nothing_listens(start: StartWorker) -> None:
    port = free_port()
    start(HOST="127.0.0.1")
    with pytest.raises(requests.ConnectionError):
        metrics_of(port, "/health")


def test_a_port_that_is_taken_is_said(
    start: StartWorker, arm: ScriptedArm, tmp_path: Path, database_url: str
) -> None:
    port = int(arm.url.rpartition(":")[2])
    folder = tmp_path / "taken"
    folder.mkdir()
    variables = {"DATABASE_URL": as_service(database_url), "HOST": "127.0.0.1"}
    with WorkerProcess(folder, **variables, WORKER_METRICS_PORT=port) as worker:
        assert worker.process.wait(20) == 1
    assert f"Port {port} on 127.0.0.1 cannot be used." in worker.log.read_text()


def test_a_cancel_closes_the_call_of_a_worker_process(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    held = arm.behaviour = Held()
    worker = start()
    task_id = submit(database)
    assert held.arrived.wait(20)
    database.execute("UPDATE tasks SET status = 'cancelled' WHERE id = %s", [task_id])
    database.execute("UPDATE attempts SET ended_at = clock_timestamp(), outcome = 'cancelled'")
    worker.until_logged("Arm called", 5)


def test_its_log_has_no_text_of_clients_and_arms(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    worker = start(ARM_HELPER_SECRET="planted-token")
    arm.behaviour = succeeds("planted-answer")
    task_id = submit(database, "planted-goal", context='{"key": "planted-context"}')
    until_status(database, task_id, "completed")
    arm.behaviour = succeeds(
        None,
        success=False,
        error={"error_code": "E", "category": "internal", "message": "planted-error"},
    )
    until_status(database, submit(database, "planted-goal"), "failed")
    worker.stop()
    text = worker.log.read_text()
    assert arm.work[0].headers["authorization"] == "Bearer planted-token"
    assert "Task completed" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_each_line_of_its_log_is_json(
    start: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    worker = start()
    until_status(database, submit(database), "completed")
    worker.stop()
    assert len(worker.log_lines()) == len(worker.log.read_text().splitlines())


def test_connections_that_are_cut_do_not_end_it(start: StartWorker, database_url: str) -> None:
    worker = start()
    with psycopg.connect(
        database_url.replace("/workers?", "/postgres?"), autocommit=True
    ) as elsewhere:
        for _ in range(3):
            elsewhere.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'workers'"
            )
            time.sleep(0.3)
    with psycopg.connect(database_url, autocommit=True) as again:
        until_status(again, submit(again), "completed")
    assert worker.process.poll() is None
