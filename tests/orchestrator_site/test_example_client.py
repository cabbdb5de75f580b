"""docs/example_client.py, run as it stands against a real service."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.conftest import StartService
from tests.environment import ROOT
from tests.reflex_layer import ScriptedReflexLayer, answer, in_turn, says
from tests.service import Service

WAIT = "Retry-After: 1\r\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Database = psycopg.Connection[Any]


@pytest.fixture
def client() -> str:
    return f"example {uuid.uuid4()}"


@pytest.fixture
def run(client: str, service_owner_url: str) -> Run:
    """Run the example with a key that the operator made."""

    def start(url: str, *scopes: str) -> "subprocess.CompletedProcess[str]":
        command = ["create_key", client, *(f"--scope={scope}" for scope in scopes)]
        key = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=os.environ | {"ORCHESTRATOR_DATABASE_URL": service_owner_url},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()
        return subprocess.run(
            [sys.executable, "docs/example_client.py"],
            cwd=ROOT,
            env=os.environ | {"OCTOLLM_URL": url, "OCTOLLM_API_KEY": key},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return start


def statuses(database: Database, client: str) -> list[str]:
    rows = database.execute(
        "SELECT status FROM tasks JOIN clients ON clients.id = client_id WHERE name = %s", [client]
    )
    return [status for (status,) in rows]


def test_example_submits_follows_lists_and_cancels(
    service: Service, run: Run, client: str, service_database: Database
) -> None:
    finished = run(service.url, "task:submit", "task:read", "task:cancel")
    assert finished.stderr == ""
    times = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
    lines = [
        r"Submitted [0-9a-f-]{36}: it is pending\.",
        rf"  {times}  submitted: pending, by client",
        rf"{times}  pending     Analyze sentiment of user reviews",
        r"The task is cancelled\. Its result: None",
        r"  undecided  Sentiment score between -1 and 1: Not checked\.",
    ]
    assert re.fullmatch("\n".join([*lines, ""]), finished.stdout)
    assert statuses(service_database, client) == ["cancelled"]


def test_example_tries_again_until_there_is_a_verdict(
    start_service: StartService, run: Run, client: str, service_database: Database
) -> None:
    with ScriptedReflexLayer() as scripted:
        busy = says({}, status="429 Too Many Requests", headers=WAIT)
        scripted.behaviour = in_turn(busy, busy, says(answer()))
        running = start_service(REFLEX_URL=scripted.url, WORKERS=1)
        finished = run(running.url, "task:submit", "task:read", "task:cancel")
    assert finished.returncode == 0, finished.stderr
    series = (
        'octollm_orchestrator_api_requests_total{{endpoint="/submit",method="POST",status="{}"}}'
    )
    counted = running.metrics()
    assert [counted[series.format(status)] for status in (503, 200)] == [2, 1]
    assert statuses(service_database, client) == ["cancelled"]


def test_example_ends_with_the_words_of_the_service(service: Service, run: Run) -> None:
    finished = run(service.url, "task:read")
    assert finished.returncode == 1
    assert finished.stderr == (
        'POST /submit: 403 {"detail":"This key or token lacks the scope task:submit."}\n'
    )
