"""Workers as operators run them: `manage.py work`, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Self

import psycopg
import requests

from tests.environment import ROOT
from tests.waiting import wait_until

Database = psycopg.Connection[Any]

START_SECONDS = 30
STOP_SECONDS = 40
ANSWER_SECONDS = 10


def declared(name: str, url: str, *, protocol: str = "octollm", **options: object) -> str:
    """Return the declaration of an arm for `ORCHESTRATOR_ARMS`."""
    query = "&".join(f"{option}={str(value).lower()}" for option, value in options.items())
    return f"{name}={protocol}+{url}" + (f"?{query}" if query else "")


class WorkerProcess:
    """A running worker.

    Args:
        folder: for its log.
        variables: settings without their prefix; they override the tests' environment.
    """

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.log = folder / "worker.log"
        self._folder, self._variables = folder, variables
        environment = os.environ | {
            f"ORCHESTRATOR_{name}": str(value) for name, value in variables.items()
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "work"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                # So that a signal to the tests reaches the worker only by them.
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            # A stopped process receives nothing else.
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(STOP_SECONDS)

    def until_started(self) -> Self:
        self.until_logged("Worker started", START_SECONDS)
        return self

    def until_logged(self, message: str, seconds: float = START_SECONDS) -> None:
        """Wait until the worker has logged a line with this message."""
        wait_until(lambda: self.has_logged(message) or self.process.poll() is not None, seconds)
        assert self.has_logged(message), self.log.read_text()

    def has_logged(self, message: str) -> bool:
        return any(line["message"] == message for line in self.log_lines())

    def log_lines(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def replaced(self) -> "WorkerProcess":
        """Kill it; return another one with the same settings, which continues its log."""
        self.kill()
        return WorkerProcess(self._folder, **self._variables)

    def stop(self) -> int:
        """Stop it gracefully; return its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def submit(database: Database, goal: str = "Plan", **fields: Any) -> uuid.UUID:
    """Store a task with its bell, as a submission does."""
    task_id = uuid.uuid4()
    names = ["id", "goal", *fields]
    database.execute(
        f"WITH task AS (INSERT INTO tasks ({', '.join(names)})"
        f" VALUES ({', '.join(['%s'] * len(names))}) RETURNING id)"
        " INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args)"
        " SELECT 'tasks', 'begin', id::text, jsonb_build_object('task', id) FROM task",
        [task_id, goal, *fields.values()],
    )
    return task_id


def status_of(database: Database, task_id: uuid.UUID) -> str:
    row = database.execute("SELECT status FROM tasks WHERE id = %s", [task_id]).fetchone()
    assert row is not None
    return str(row[0])


def until_status(database: Database, task_id: uuid.UUID, status: str, seconds: float = 20) -> None:
    wait_until(lambda: status_of(database, task_id) == status, seconds)


def metrics_of(port: int, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_SECONDS)
