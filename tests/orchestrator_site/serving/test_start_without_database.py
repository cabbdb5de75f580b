"""The log of a service that starts while its database cannot be used."""

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import psycopg
import pytest

from tests.conftest import StartService
from tests.postgresql import Postgresql
from tests.service import Service

PASSWORD = "p%40s:s@w/o$r#d s3cret"
WAIT_SECONDS = 20


def first_warning(service: Service) -> dict[str, Any]:
    """Wait for the first warning in the log, without sending a request."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < give_up_at:
        # The last line may be incomplete.
        whole, _, _ = service.log.read_text().rpartition("\n")
        if '"WARNING"' in whole:
            return next(line for line in service.log_lines() if line["level"] == "WARNING")
        time.sleep(0.02)
    raise AssertionError("no warning came")


def start(start_service: StartService, url: str) -> Service:
    return start_service(DATABASE_URL=url, WORKERS=2)


@pytest.fixture
def guarded() -> Iterator[Postgresql]:
    """A server that asks the role `guarded` for its password."""
    # The user that PostgreSQL runs as cannot read pytest's temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-guarded-"))
    folder.chmod(0o755)
    with Postgresql(folder / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD {}").format(PASSWORD)
            )
            rules = folder / "data/pg_hba.conf"
            rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    rmtree(folder)


def test_database_that_cannot_be_reached_is_a_warning_without_the_url(
    start_service: StartService,
) -> None:
    service = start(start_service, "postgresql://ada:s3cret@127.0.0.1:1/octollm")
    warning = first_warning(service)
    assert warning["message"] == "Not ready: no database"
    assert "Connection refused" in warning["reason"]
    assert "s3cret" not in service.log.read_text()
    # The service runs nevertheless, and only one of its two workers logs the warning.
    assert service.get("/health").status_code == 200
    service.stop()
    assert service.log.read_text().count('"WARNING"') == 1


def test_wrong_password_is_a_warning_without_the_password(
    start_service: StartService, guarded: Postgresql
) -> None:
    url = guarded.url.replace("postgres:@", "guarded:wr0ng@")
    service = start(start_service, url)
    warning = first_warning(service)
    assert 'password authentication failed for user "guarded"' in warning["reason"]
    assert "wr0ng" not in service.log.read_text()


def test_database_that_never_answers_does_not_hold_up_the_start(
    start_service: StartService,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://ada:s3cret@127.0.0.1:{silent.getsockname()[1]}/octollm"
        service = start(start_service, url)
        # The service answers before the check of the database has ended.
        assert service.get("/health").status_code == 200
        assert '"WARNING"' not in service.log.read_text()
        assert "timeout" in first_warning(service)["reason"]


def test_working_database_is_not_logged(service: Service) -> None:
    assert service.get("/ready").status_code == 200
    assert "Not ready" not in service.log.read_text()


def test_password_may_come_from_pgpassword(
    start_service: StartService, guarded: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.migrate()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    service = start_service(
        DATABASE_URL=guarded.url.replace("postgres:@", "guarded@"),
        ENABLE_REFLEX_INTEGRATION=False,
        WORKERS=1,
    )
    assert service.get("/ready").json()["database"] == "connected"
    assert service.submit().status_code == 200
