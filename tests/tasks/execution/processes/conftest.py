"""Worker processes with a database, an arm and a Reflex Layer of their own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.arms import ScriptedArm
from tests.postgresql import as_service, new_database
from tests.reflex_layer import ScriptedReflexLayer
from tests.waiting import wait_until
from tests.workers import WorkerProcess, declared

StartWorker = Callable[..., WorkerProcess]
Database = psycopg.Connection[Any]
OTHERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database for the workers of this module."""
    name = "workers_of_" + request.module.__name__.rpartition(".")[2]
    return new_database(os.environ["ORCHESTRATOR_DATABASE_URL"], name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
        # Nothing is left for the worker of the next test. A killed worker's last statement may go
        # on for a moment, and its locks and those of TRUNCATE could wait for each other.
        wait_until(lambda: not connection.execute(OTHERS).fetchall())
        connection.execute(
            "TRUNCATE procrastinate_jobs, budgets, calls, attempts, steps, runs, task_results, arms"
            " CASCADE"
        )
        connection.execute("UPDATE tasks SET status = 'cancelled'")


@pytest.fixture
def arm() -> Iterator[ScriptedArm]:
    with ScriptedArm() as scripted:
        yield scripted


@pytest.fixture
def start(
    tmp_path: Path, database: Database, database_url: str, arm: ScriptedArm
) -> Iterator[StartWorker]:
    """Start workers with settings of the test; they are killed before its database is emptied."""
    started: list[WorkerProcess] = []
    with ScriptedReflexLayer() as reflex_layer:

        def begin(**variables: Any) -> WorkerProcess:
            folder = tmp_path / str(len(started))
            folder.mkdir()
            defaults = {
                "DATABASE_URL": as_service(database_url),
                "REFLEX_URL": reflex_layer.url,
                "ARMS": declared("helper", arm.url, idempotent=True),
                "WORKER_CONCURRENCY": 2,
            }
            worker = WorkerProcess(folder, **defaults | variables)
            started.append(worker)
            return worker.until_started()

        yield begin
        for worker in started:
            worker.__exit__()
