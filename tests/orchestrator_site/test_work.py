"""`manage.py work`, as operators start it."""

import socket
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasks.models.execution.arm import MAX_ARMS
from tests.conftest import StartService
from tests.ports import free_port
from tests.waiting import wait_until
from tests.workers import STOP_SECONDS, WorkerProcess, declared, metrics_of

LIVING = "octollm_orchestrator_workers"


@pytest.fixture
def database(service_database: "psycopg.Connection[Any]") -> "psycopg.Connection[Any]":
    """The services' database, whose tasks no worker of these tests may carry out."""
    return service_database


def test_a_worker_answers_probes_and_shows_in_the_metrics_of_the_service(
    tmp_path: Path,
    start_service: StartService,
    service_database_url: str,
    database: "psycopg.Connection[Any]",
) -> None:
    # Other tests have left tasks in this database.
    database.execute("DELETE FROM procrastinate_jobs")
    database.execute("UPDATE tasks SET status = 'completed' WHERE status = 'pending'")
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    before = service.metrics()[LIVING]
    port = free_port()
    with WorkerProcess(
        tmp_path, DATABASE_URL=service_database_url, HOST="127.0.0.1", WORKER_METRICS_PORT=port
    ) as worker:
        worker.until_started()
        answer = metrics_of(port, "/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
        assert "octollm_orchestrator_worker_open_calls 0.0" in metrics_of(port, "/metrics").text
        assert service.metrics()[LIVING] == before + 1
        task = service.submit().json()["task_id"]
        wait_until(lambda: service.get(f"/tasks/{task}").json()["progress"]["step"] == 1)
        progress = service.get(f"/tasks/{task}").json()["progress"]
        assert (progress["waits_for"], progress["detail"]) == ("arm", "No arm is registered.")
        assert worker.stop() == 0
    assert service.metrics()[LIVING] == before


def test_a_port_that_is_taken_is_named(tmp_path: Path, service_database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with WorkerProcess(
            tmp_path, DATABASE_URL=service_database_url, HOST="127.0.0.1", WORKER_METRICS_PORT=port
        ) as worker:
            assert worker.process.wait(STOP_SECONDS) == 1
    assert worker.log.read_text().splitlines() == [
        f"CommandError: Port {port} on 127.0.0.1 cannot be used. Set "
        "ORCHESTRATOR_WORKER_METRICS_PORT to another one, or stop the process that uses it."
    ]


def test_too_many_arms_are_refused_together(
    tmp_path: Path, service_database_url: str, database: "psycopg.Connection[Any]"
) -> None:
    arms = ",".join(
        declared(f"arm-{number}", "http://127.0.0.1:1") for number in range(MAX_ARMS + 1)
    )
    with WorkerProcess(tmp_path, DATABASE_URL=service_database_url, ARMS=arms) as worker:
        assert worker.process.wait(STOP_SECONDS) == 1
    assert worker.log.read_text().splitlines() == [
        "CommandError: ORCHESTRATOR_ARMS names more arms than can be registered."
    ]
    assert database.execute("SELECT count(*) FROM arms WHERE name LIKE 'arm-%'").fetchone() == (0,)
