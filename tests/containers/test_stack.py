"""The image and docker-compose.yml, with a real Docker: `make containers`."""

import json
import time
from typing import Any

import pytest

from tests.containers.stack import SECRETS, Stack

SERVICES = ("database", "roles", "migrate", "reflex-layer", "web", "worker")
WAIT_SECONDS = 30
# Prints which hosts can be reached by TCP, as a JSON object.
REACHED = """
import json, socket
def is_reached(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        return False
    return True
print(json.dumps({host: is_reached(host, port) for host, port in %r}))
"""
SQL = """
import psycopg
try:
    with psycopg.connect("postgresql://octollm_service@database/octollm") as connection:
        connection.execute(%r)
    print("done")
except psycopg.Error as error:
    print(type(error).__name__)
"""


def reached_from(stack: Stack, service: str, **ports: int) -> set[str]:
    hosts = [(name.replace("_", "-"), port) for name, port in ports.items()]
    answers = json.loads(stack.python(service, REACHED % hosts))
    return {host for host, is_reached in answers.items() if is_reached}


def parked(stack: Stack, path: str) -> dict[str, Any]:
    """Return the task as soon as it waits for an arm."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < give_up_at:
        task: dict[str, Any] = stack.request("GET", path).json()
        if task["progress"]["waits_for"] == "arm":
            return task
        time.sleep(0.2)
    raise AssertionError("no worker has found the task")


def test_a_task_survives_a_restart(stack: Stack) -> None:
    submitted = stack.request("POST", "/submit", json={"goal": "Count the parcels"})
    assert submitted.status_code == 200
    path = submitted.headers["Location"]
    task = parked(stack, path)
    assert task["goal"] == "Count the parcels"
    # The worker has found it, and that there is no arm.
    assert task["progress"]["detail"] == "No arm is registered."
    unsafe = stack.request("POST", "/submit", json={"goal": "Write to jane.doe@example.org"})
    assert unsafe.status_code == 403

    stack.compose("restart")
    stack.wait_until_ready()
    assert stack.request("GET", path).json() == task

    stack.compose("down")
    stack.compose("up", "--detach", "--no-build")
    stack.wait_until_ready()
    assert stack.request("GET", path).json() == task


def test_the_console_is_served_with_its_styles(stack: Stack) -> None:
    assert "password" in stack.request("GET", "/admin/login/").text
    assert stack.request("GET", "/static/admin/css/base.css").status_code == 200
    assert "octollm_orchestrator_tasks_total" in stack.request("GET", "/metrics").text


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_confined(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] > 0
    assert host["LogConfig"]["Config"] == {"max-file": "5", "max-size": "10m"}
    # The database needs capabilities to become the user postgres.
    assert bool(host["CapAdd"]) == (service == "database")


@pytest.mark.parametrize("service", ["web", "worker", "reflex-layer"])
def test_processes_do_not_run_as_root_and_write_only_to_memory(stack: Stack, service: str) -> None:
    code = """
import os, pathlib
caps = [line for line in open("/proc/self/status") if line.startswith("CapEff")]
pathlib.Path("/tmp/x").touch()
try:
    pathlib.Path("/app/x").touch()
except OSError as error:
    print(os.getuid(), int(caps[0].split()[1], 16), error.strerror)
"""
    assert stack.python(service, code) == "10001 0 Read-only file system"


def test_the_reflex_layer_has_no_secret_and_reaches_no_database(stack: Stack) -> None:
    environment = "\n".join(stack.inspect("reflex-layer")["Config"]["Env"])
    assert "ORCHESTRATOR_" not in environment
    assert "PASSWORD" not in environment
    assert not any(secret in environment for secret in SECRETS.values())
    assert reached_from(stack, "reflex-layer", reflex_layer=8080, database=5432) == {"reflex-layer"}
    assert reached_from(stack, "web", reflex_layer=8080, database=5432) == {
        "reflex-layer",
        "database",
    }


def test_the_service_has_its_own_password_and_not_the_owners(stack: Stack) -> None:
    environment = stack.inspect("web")["Config"]["Env"]
    assert f"PGPASSWORD={SECRETS['POSTGRES_SERVICE_PASSWORD']}" in environment
    assert SECRETS["POSTGRES_PASSWORD"] not in "\n".join(environment)


@pytest.mark.parametrize("table", ["receipts", "task_events"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET id = id", "TRUNCATE {}"])
def test_the_service_cannot_cover_its_tracks(stack: Stack, statement: str, table: str) -> None:
    assert stack.python("web", SQL % statement.format(table)) == "InsufficientPrivilege"
    assert stack.python("web", SQL % f"SELECT count(*) FROM {table}") == "done"


def test_the_first_account_is_created_as_documented(stack: Stack) -> None:
    stack.compose(
        *("run", "--rm", "--no-TTY", "--env=DJANGO_SUPERUSER_PASSWORD=of the first account"),
        *("web", "python", "manage.py", "createsuperuser"),
        *("--noinput", "--username=root", "--email="),
    )
    assert stack.python("web", SQL % "SELECT 1 / count(*) FROM auth_user") == "done"


def test_a_new_password_of_the_service_takes_effect(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECRETS, "POSTGRES_SERVICE_PASSWORD", "another one: %24$$@/")
    stack.compose("up", "--detach", "--no-build")
    stack.wait_until_ready()
