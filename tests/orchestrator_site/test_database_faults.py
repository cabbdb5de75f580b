"""The responses while the database fails and afterwards. tests/faults tests the same under load."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests.conftest import StartService
from tests.postgresql import Postgresql, as_service, until_requests_wait
from tests.service import Service

TIMEOUT_SECONDS = 2
NO_TASK = "/tasks/00000000-0000-4000-8000-000000000000"


@contextlib.contextmanager
def new_server() -> Iterator[Postgresql]:
    # The user that PostgreSQL runs as cannot read pytest's temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-faults-"))
    folder.chmod(0o755)
    with Postgresql(folder / "data") as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A server that all tests share; each test restores it."""
    with new_server() as server:
        server.migrate()
        yield server


@pytest.fixture
def empty() -> Iterator[Postgresql]:
    """A server for one test, which is not migrated."""
    with new_server() as server:
        yield server


@pytest.fixture
def migrated(server: Postgresql) -> Iterator[Postgresql]:
    yield server
    server.resume()
    server.start()


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory, server: Postgresql, bundled_reflex_layer: str
) -> Iterator[Service]:
    """A service on a database that tests stop, pause or cut off; it recovers after each test."""
    with Service(
        tmp_path_factory.mktemp("service"),
        DATABASE_URL=as_service(server.url),
        REFLEX_URL=bundled_reflex_layer,
        DATABASE_TIMEOUT_SECONDS=TIMEOUT_SECONDS,
        WORKERS=1,
    ) as service:
        yield service


def assert_unavailable(response: requests.Response) -> None:
    assert response.status_code == 503
    assert response.json() == {"detail": "The database cannot be reached now. Try again later."}
    assert response.headers["Retry-After"] == "5"


def assert_503_within(service: Service, seconds: float) -> None:
    # The measurement must not include the start of the service.
    assert service.get("/health").status_code == 200
    for call in (service.submit, lambda: service.get(NO_TASK)):
        started = time.monotonic()
        assert_unavailable(call())
        assert time.monotonic() - started < seconds
    assert service.get("/health").status_code == 200


def test_requests_get_503_until_the_database_is_back(faulty: Service, migrated: Postgresql) -> None:
    assert faulty.submit().status_code == 200
    migrated.stop()
    assert_503_within(faulty, TIMEOUT_SECONDS)
    assert faulty.get("/ready").json()["database"] == "disconnected"
    page = faulty.get("/metrics").text
    assert "octollm_orchestrator_api_requests_total{" in page
    for shared in ("tasks_by_status", "tasks_total", "attempts_total", "parked_steps", "workers"):
        assert f"octollm_orchestrator_{shared}" not in page
    migrated.start()
    assert faulty.submit().status_code == 200
    assert faulty.get("/ready").status_code == 200


def test_a_hanging_database_holds_a_request_no_longer_than_the_timeout(
    faulty: Service, migrated: Postgresql
) -> None:
    assert faulty.submit().status_code == 200
    migrated.pause()
    # Both on an open connection and on a new one.
    assert_503_within(faulty, TIMEOUT_SECONDS + 1)
    started = time.monotonic()
    assert faulty.get("/ready").json()["database"] == "disconnected"
    assert time.monotonic() - started < 2.5
    # Once for all that it reads there.
    started = time.monotonic()
    assert "octollm_orchestrator_tasks_total" not in faulty.get("/metrics").text
    assert time.monotonic() - started < 2.5
    migrated.resume()
    assert faulty.submit().status_code == 200


@pytest.mark.alone
def test_many_hanging_probes_do_not_delay_health(faulty: Service, migrated: Postgresql) -> None:
    assert faulty.get("/ready").status_code == 200
    migrated.pause()
    with ThreadPoolExecutor(16) as clients:
        crowd = [
            clients.submit(faulty.get, probe) for probe in ("/metrics", "/ready") for _ in range(8)
        ]
        slowest = 0.0
        while not all(future.done() for future in crowd):
            started = time.monotonic()
            assert faulty.get("/health").status_code == 200
            slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1
    assert {future.result().status_code for future in crowd} <= {200, 503}
    migrated.resume()


def test_the_server_cancels_the_statement_of_a_client_that_gave_up(
    faulty: Service, migrated: Postgresql
) -> None:
    with (
        psycopg.connect(migrated.url) as blocker,
        psycopg.connect(migrated.url, autocommit=True) as observer,
    ):
        blocker.execute("LOCK TABLE tasks")
        with ThreadPoolExecutor(1) as clients:
            answer = clients.submit(faulty.submit)
            until_requests_wait(observer)
            assert_unavailable(answer.result())
        waiting = (
            "SELECT pg_sleep(0.1), count(*) FROM pg_stat_activity"
            " WHERE state = 'active' AND query LIKE '%INSERT INTO \"tasks\"%'"
            " AND pid <> pg_backend_pid()"
        )
        deadline = time.monotonic() + 5
        while observer.execute(waiting).fetchone()[1]:
            assert time.monotonic() < deadline
        blocker.rollback()
    assert faulty.submit().status_code == 200


def test_no_request_fails_after_idle_connections_were_cut(
    faulty: Service, migrated: Postgresql
) -> None:
    assert faulty.submit().status_code == 200
    migrated.stop()
    migrated.start()
    # Each request may be handled by a thread whose connection was cut.
    assert [faulty.submit().status_code for _ in range(16)] == [200] * 16


def test_a_database_that_is_not_migrated_gets_503_and_the_log_says_why(
    empty: Postgresql, start_service: StartService, bundled_reflex_layer: str
) -> None:
    service = start_service(DATABASE_URL=empty.url, REFLEX_URL=bundled_reflex_layer, WORKERS=1)
    assert_503_within(service, TIMEOUT_SECONDS)
    ready = service.get("/ready")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "not_ready",
        "database": "disconnected",
        "reflex_layer": "available",
    }
    reasons = [line for line in service.log_lines() if "migrations" in line["message"]]
    assert "tasks.0001_initial" in reasons[0]["missing"]
    empty.migrate()
    assert service.submit().status_code == 200
