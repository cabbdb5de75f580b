"""The Makefile's commands in a copy of the project, as a newcomer runs them."""

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
import psycopg
import pytest
import requests

from tests.environment import ROOT
from tests.ports import free_port
from tests.postgresql import new_database
from tests.waiting import wait_until

Make = Callable[..., "subprocess.Popen[str]"]
FROM_ENVIRONMENT = "ARGS=--database-from-environment"
PACKAGES = ("orchestrator_site", "tasks", "safety", ".venv")


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the project with the same code and its own data."""
    # The user that PostgreSQL runs as cannot read pytest's temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-make-"))
    folder.chmod(0o755)
    for name in PACKAGES:
        (folder / name).symlink_to(ROOT / name)
    # These are copied, because Python resolves links to find a script's packages. `copy2` keeps
    # their times, so that make sees that everything is installed.
    for name in ("manage.py", "Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy2(ROOT / name, folder)
    for stamp in ("production", "running", "development"):
        (ROOT / ".venv" / stamp).touch()
    yield folder
    shutil.rmtree(folder)


def environment(**variables: Any) -> dict[str, str]:
    """Return an environment in which only `variables` are set."""
    # The tests may run below a make, which sets variables of its own.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORCHESTRATOR_", "MAKE", "MFLAGS", "ARGS"))
    }
    return kept | {f"ORCHESTRATOR_{name}": str(value) for name, value in variables.items()}


@pytest.fixture
def make(checkout: Path) -> Iterator[Make]:
    """Start a target of the Makefile in the background, and stop it at the end of the test."""
    started = []

    def start(target: str, *arguments: str, **variables: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["make", "-s", target, *arguments],
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
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


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
    key = re.search(r"API key of the client development: (octollm_\w+)", welcome)
    assert password
    assert key
    processes = psutil.Process(running.pid).children(recursive=True)
    commands = [" ".join(process.cmdline()) for process in processes]
    for part in ("safety.reflex_layer", "tasks.arms.bundled", "manage work", "gunicorn"):
        assert any(part in command for command in commands), commands
    assert requests.get(f"{base}/ready", timeout=10).json() == {
        "status": "ready",
        "database": "connected",
        "reflex_layer": "available",
    }
    body = {"goal": "Find the sentiment", "context": {"reviews": ["Please keep me."]}}
    task = requests.post(f"{base}/submit", json=body, timeout=10).json()
    path = f"{base}/tasks/{task['task_id']}"
    # The bundled arm carries it out.
    wait_until(lambda: requests.get(path, timeout=10).json()["status"] == "completed")
    as_client = {"Authorization": f"Bearer {key[1]}"}
    client = requests.get(f"{base}/client", headers=as_client, timeout=10).json()
    assert client["name"] == "development"
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

    # Like a terminal, send the signal to every process of the group.
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=30)
    assert psutil.wait_procs(processes, timeout=10)[1] == []

    again = make("run", PORT=port, WORKERS=1)
    said = read_until(again, "Ctrl-C")
    assert password[1] not in said
    assert "octollm_" not in said
    assert "For a new API key: make run ARGS=--new-key" in said
    assert requests.get(f"{base}/client", headers=as_client, timeout=10).json() == client
    assert "Log in as admin; for a new password: make run ARGS=--new-password" in said
    kept = requests.get(path, timeout=10).json()
    assert (kept["goal"], kept["status"]) == ("Find the sentiment", "completed")
    assert kept["result"]["result_data"]["texts"][0]["path"] == "reviews[0]"
    again.terminate()
    again.communicate(timeout=30)


def test_run_replaces_a_worker_that_was_killed(make: Make) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    running = make("run", PORT=port, WORKERS=1)
    read_until(running, "Ctrl-C")
    [worker] = [
        process
        for process in psutil.Process(running.pid).children(recursive=True)
        if process.cmdline()[-2:] == ["manage", "work"]
    ]
    worker.kill()
    read_until(running, "The worker ended by itself; another one takes over its tasks.")
    body = {"goal": "Find the sentiment", "context": {"reviews": ["Please keep me."]}}
    task = requests.post(f"{base}/submit", json=body, timeout=10).json()
    path = f"{base}/tasks/{task['task_id']}"
    wait_until(lambda: requests.get(path, timeout=10).json()["status"] == "completed")
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=30)


def may_log_in(base: str, password: str) -> bool:
    with requests.Session() as browser:
        browser.get(f"{base}/admin/login/", timeout=10)
        form = {"username": "admin", "password": password}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        answer = browser.post(f"{base}/admin/login/", data=form, timeout=10, allow_redirects=False)
        return answer.status_code == 302


def test_run_shows_its_steps_and_makes_a_new_password_and_a_new_key(make: Make) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    passwords, keys = [], []
    for arguments in ([], ["ARGS=--new-password --new-key"]):
        running = make("run", *arguments, PORT=port, WORKERS=1)
        said = read_until(running, "Ctrl-C")
        assert said.splitlines()[:2] == [
            "Preparing the tables",
            "Starting the Reflex Layer, an arm, a worker and the web server",
        ]
        passwords += re.findall(r"Log in as admin with the password (\S+)", said)
        keys += re.findall(r"octollm_\w+", said)
        logs_in = [may_log_in(base, password) for password in passwords]
        statuses = [
            requests.get(f"{base}/client", headers={"X-API-Key": key}, timeout=10).status_code
            for key in keys
        ]
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=30)
    assert logs_in == [False, True]
    # The earlier key goes on working.
    assert statuses == [200, 200]


def test_run_on_a_busy_port_says_so_in_one_line(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = make("run", PORT=port)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert ours == [
        f"CommandError: Port {port} on 127.0.0.1 cannot be used (Address already in use). Set "
        "ORCHESTRATOR_PORT to another one, or stop the process that uses it."
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


def test_run_uses_the_reflex_layer_of_an_env_file(make: Make, checkout: Path) -> None:
    (checkout / ".env").write_text("ORCHESTRATOR_REFLEX_URL=http://127.0.0.1:1\n")
    said, _ = make("run", PORT=free_port()).communicate(timeout=60)
    assert "No Reflex Layer is ready at ORCHESTRATOR_REFLEX_URL" in said


def test_run_with_the_unchanged_example_file_works_as_without_it(
    make: Make, checkout: Path
) -> None:
    shutil.copy(ROOT / ".env.example", checkout / ".env")
    port = free_port()
    running = make("run", PORT=port, WORKERS=1)
    assert f"http://127.0.0.1:{port}/docs" in read_until(running, "Ctrl-C")


def test_run_with_a_wrong_setting_says_so_without_a_traceback(make: Make) -> None:
    process = make("run", FROM_ENVIRONMENT, PORT="many", DATABASE_URL="mysql://db/name")
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.splitlines()[:3] == [
        "Wrong settings:",
        "ORCHESTRATOR_DATABASE_URL: must begin with postgresql:// (PostgreSQL is the only "
        "database)",
        "ORCHESTRATOR_PORT: Not a valid integer.",
    ]


@pytest.fixture
def production(checkout: Path) -> Iterator["psycopg.Connection[Any]"]:
    """A migrated database whose URL is in a `.env` beside the code, like one for production."""
    server_url = os.environ["ORCHESTRATOR_DATABASE_URL"]
    url = new_database(server_url, "production")
    (checkout / ".env").write_text(f"ORCHESTRATOR_DATABASE_URL={url}\n")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE production WITH (FORCE)")


def counted(database: "psycopg.Connection[Any]") -> tuple[Any, ...]:
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in ("tasks", "auth_user"))
    row = database.execute(f"SELECT {counts}").fetchone()
    assert row is not None
    return row


def test_run_and_demo_leave_the_database_of_the_environment_alone(
    make: Make, production: "psycopg.Connection[Any]"
) -> None:
    for variables in ({}, {"DATABASE_URL": "postgresql://ada:secret@127.0.0.1:1/none"}):
        running = make("run", PORT=free_port(), WORKERS=1, **variables)
        assert "the data stay in .data/." in read_until(running, "Ctrl-C")
        said, _ = make("demo", "ARGS=--tasks 20", **variables).communicate(timeout=60)
        assert "20 tasks are stored." in said
        running.terminate()
        running.communicate(timeout=30)
    assert counted(production) == (0, 0)


def test_run_told_to_use_the_database_of_the_environment_names_it_first(
    make: Make, production: "psycopg.Connection[Any]"
) -> None:
    running = make("run", FROM_ENVIRONMENT, PORT=free_port(), WORKERS=1)
    said = read_until(running, "Ctrl-C").splitlines()
    place = f"production on {production.info.host}"
    assert said[0] == f"Using the database of ORCHESTRATOR_DATABASE_URL: {place}"
    assert said[-1] == f"Ctrl-C stops everything; the data stay in {place}."
    assert counted(production) == (0, 1)


@pytest.mark.parametrize("target", ["run", "demo"])
def test_a_missing_database_url_is_not_guessed(make: Make, target: str) -> None:
    process = make(target, FROM_ENVIRONMENT, PORT=free_port())
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.splitlines()[0] == (
        "CommandError: --database-from-environment needs ORCHESTRATOR_DATABASE_URL, which is not "
        "set."
    )


def test_migrate_without_a_database_says_so_in_one_line(make: Make) -> None:
    process = make("migrate", DATABASE_URL="postgresql://127.0.0.1:1/none", SECRET_KEY="x" * 50)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert len(ours) == 1
    assert ours[0].startswith("The database cannot be used (ORCHESTRATOR_DATABASE_URL): ")


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
        # A worker that is forked during the stop would miss the signal.
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


def test_serve_on_a_busy_port_says_so_in_one_json_line(
    make: Make, service_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = make(
            "serve",
            DATABASE_URL=service_database_url,
            SECRET_KEY="x" * 50,
            HOST="127.0.0.1",
            PORT=listener.getsockname()[1],
        )
        said, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    errors = [line for line in lines if line["level"] == "ERROR"]
    assert [line["reason"] for line in errors] == ["Address already in use"]
    assert "ORCHESTRATOR_PORT" in errors[0]["message"]
    assert list(tmp_path.glob("orchestrator-metrics-*")) == []


def test_the_operators_own_metrics_folder_is_kept(
    make: Make, service_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "keep me").touch()
    (tmp_path / "counter_1.db").touch()
    process = make(
        "serve",
        DATABASE_URL=service_database_url,
        SECRET_KEY="x" * 50,
        HOST="127.0.0.1",
        PORT=free_port(),
        WORKERS=1,
    )
    read_until(process, "Booting worker")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    left = {path.name for path in tmp_path.iterdir()}
    assert "keep me" in left
    assert "counter_1.db" not in left


def test_migrate_names_a_database_that_does_not_exist(
    make: Make, service_database_url: str
) -> None:
    url = service_database_url.replace("/service?", "/octollm?")
    said, _ = make("migrate", DATABASE_URL=url, SECRET_KEY="x" * 50).communicate(timeout=60)
    ours = [line for line in said.splitlines() if not line.startswith("make:")]
    assert len(ours) == 1
    assert 'database "octollm" does not exist' in ours[0]


def test_run_interrupted_at_any_moment_leaves_no_process(
    make: Make, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The signal could also interrupt the start of coverage in a process, which is not our code.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    for seconds in (0.2, 0.4, 0.6, 0.9, 1.4):
        process = make("run", PORT=free_port(), WORKERS=1)
        # The moments are spread over the start, so the signal interrupts different steps.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert "Traceback" not in said
    assert processes_in(checkout) == []


def test_run_after_one_that_was_killed_still_stops_its_database(make: Make, checkout: Path) -> None:
    killed = make("run", PORT=free_port(), WORKERS=1)
    read_until(killed, "Ctrl-C")
    left_behind = psutil.Process(killed.pid).children(recursive=True)
    os.killpg(killed.pid, signal.SIGKILL)
    for process in left_behind:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    assert psutil.wait_procs(left_behind, timeout=40)[1] == []
    again = make("run", PORT=free_port(), WORKERS=1)
    read_until(again, "Ctrl-C")
    os.killpg(again.pid, signal.SIGINT)
    again.communicate(timeout=60)
    assert processes_in(checkout) == []


def processes_in(folder: Path) -> list[str]:
    """Return the commands of processes that belong to the copy in `folder`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if str(folder) in " ".join([process.cwd(), *process.cmdline()]):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("exit 127", "Python 3.11 or newer is needed", id="old"),
        pytest.param(
            'case "$2" in *ensurepip*) exit 1;; esac', "venv module is missing", id="no venv"
        ),
    ],
)
def test_an_unusable_python_is_reported(checkout: Path, script: str, expected: str) -> None:
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


def test_a_missing_python_is_reported(checkout: Path) -> None:
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
