"""The commands of the Makefile, in a copy of the project, as a newcomer types them."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.environment import ROOT

Make = Callable[..., "subprocess.Popen[str]"]
PACKAGES = ("orchestrator_site", "tasks", "safety", ".venv")


@pytest.fixture
def checkout() -> Iterator[Path]:
    """The project in another place: with data of its own, and the same code."""
    # pytest's own folders are closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-make-"))
    folder.chmod(0o755)
    for name in PACKAGES:
        (folder / name).symlink_to(ROOT / name)
    # Copied, since Python looks for packages where a script really lies; with their times,
    # by which make sees that everything is installed.
    for name in ("manage.py", "Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy2(ROOT / name, folder)
    for stamp in ("production", "development"):
        (ROOT / ".venv" / stamp).touch()
    yield folder
    shutil.rmtree(folder)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(**variables: Any) -> dict[str, str]:
    """The environment of somebody who has set nothing but `variables`."""
    # The tests themselves may run below a make.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORCHESTRATOR_", "MAKE", "MFLAGS"))
    }
    return kept | {f"ORCHESTRATOR_{name}": str(value) for name, value in variables.items()}


@pytest.fixture
def make(checkout: Path) -> Iterator[Make]:
    """Start a target of the Makefile in the background; what is left of it ends with the test."""
    started = []

    def start(target: str, **variables: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["make", "-s", target],
            cwd=checkout,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"it ended without saying {words!r}:\n{seen}")


def test_run_serves_until_ctrl_c_leaves_no_process_and_keeps_the_data(make: Make) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    running = make("run", PORT=port, WORKERS=1)
    welcome = read_until(running, "Ctrl-C")
    password = re.search(r"Log in as admin with the password (\S+)", welcome)
    assert password
    processes = psutil.Process(running.pid).children(recursive=True)
    assert len(processes) >= 4
    assert requests.get(f"{base}/ready", timeout=10).json() == {
        "status": "ready",
        "database": "connected",
        "reflex_layer": "available",
    }
    task = requests.post(f"{base}/submit", json={"goal": "Keep me"}, timeout=10).json()
    unsafe = {"goal": "Write to jane.doe@example.org"}
    assert requests.post(f"{base}/submit", json=unsafe, timeout=10).status_code == 403
    with requests.Session() as browser:
        browser.get(f"{base}/admin/login/", timeout=10)
        form = {
            "username": "admin",
            "password": password[1],
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        console = browser.post(f"{base}/admin/login/?next=/admin/", data=form, timeout=10)
        assert console.status_code == 200
        assert "Tasks" in console.text

    # As the terminal does: to every process of the group.
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=30)
    assert psutil.wait_procs(processes, timeout=10)[1] == []

    again = make("run", PORT=port, WORKERS=1)
    assert "password" not in read_until(again, "Ctrl-C")
    path = f"{base}/tasks/{task['task_id']}"
    assert requests.get(path, timeout=10).json()["goal"] == "Keep me"
    again.terminate()
    again.communicate(timeout=30)


def test_run_on_a_busy_port_says_so_in_one_line(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = make("run", PORT=port)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert ours == [
        f"CommandError: Port {port} on 127.0.0.1 cannot be used (Address already in use). Set "
        "ORCHESTRATOR_PORT to another one, or stop what uses it."
    ]


def test_run_without_the_reflex_layer_of_its_url_says_so_in_one_line(make: Make) -> None:
    process = make("run", PORT=free_port(), REFLEX_URL="http://127.0.0.1:1")
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert ours == [
        "CommandError: No Reflex Layer is ready at ORCHESTRATOR_REFLEX_URL. Start it, or unset the "
        "variable to use the bundled one."
    ]


def test_run_with_a_wrong_setting_says_so_without_a_traceback(make: Make) -> None:
    process = make("run", PORT="many", DATABASE_URL="mysql://db/name")
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.splitlines()[:3] == [
        "Wrong settings:",
        "ORCHESTRATOR_DATABASE_URL: must begin with postgresql:// (PostgreSQL is the only "
        "database)",
        "ORCHESTRATOR_PORT: Not a valid integer.",
    ]


def test_migrate_without_a_database_says_so_in_one_line(make: Make) -> None:
    process = make("migrate", DATABASE_URL="postgresql://127.0.0.1:1/none", SECRET_KEY="x")
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert len(ours) == 1
    assert ours[0].startswith("The database cannot be reached (ORCHESTRATOR_DATABASE_URL): ")


def test_serve_listens_on_host_and_port_and_writes_json_lines_only(
    make: Make, service_database_url: str, bundled_reflex_layer: str
) -> None:
    port = free_port()
    process = make(
        "serve",
        DATABASE_URL=service_database_url,
        REFLEX_URL=bundled_reflex_layer,
        SECRET_KEY="x" * 50,
        HOST="127.0.0.1",
        PORT=port,
        # One that forks while it is told to stop would miss the word.
        WORKERS=1,
    )
    said = read_until(process, "Booting worker")
    response = requests.get(f"http://127.0.0.1:{port}/ready", timeout=10)
    assert response.json()["status"] == "ready"
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    rest, _ = process.communicate(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []
    for line in (said + rest).splitlines():
        assert json.loads(line)["timestamp"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("exit 127", "Python 3.11 or newer is needed", id="old"),
        pytest.param(
            'case "$2" in *ensurepip*) exit 1;; esac', "venv module is missing", id="no venv"
        ),
    ],
)
def test_a_python_that_will_not_do_is_named(checkout: Path, script: str, expected: str) -> None:
    (checkout / ".venv").unlink()
    python = checkout / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    finished = subprocess.run(
        ["make", "-s", "run", f"PYTHON={python}"],
        cwd=checkout,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert finished.returncode != 0
    ours = [
        line
        for line in (finished.stdout + finished.stderr).splitlines()
        if not line.startswith("make:")
    ]
    assert len(ours) == 1
    assert expected in ours[0]


def test_a_missing_python_is_named(checkout: Path) -> None:
    (checkout / ".venv").unlink()
    finished = subprocess.run(
        ["make", "-s", "run", "PYTHON=no-such-python"],
        cwd=checkout,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert finished.returncode != 0
    assert "no-such-python was not found" in finished.stdout
