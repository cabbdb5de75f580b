"""The two roles of docs/operations.md: what the service may do, and what only the owner may."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import psycopg
import pytest
import requests
from psycopg.errors import InsufficientPrivilege

from orchestrator_site.database.privileges import PRIVILEGES
from tests.arms import Held, ScriptedArm, in_turn, works
from tests.environment import ROOT
from tests.postgresql import Postgresql
from tests.service import Service
from tests.waiting import wait_until
from tests.workers import START_SECONDS, WorkerProcess, declared

DOCUMENT = (ROOT / "docs/operations.md").read_text()
RECORDS = ("receipts", "task_events")
FILL = """
INSERT INTO tasks (id, goal) VALUES ('6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e', 'Count the parcels');
INSERT INTO receipts (subject_id, verdict) VALUES ('6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e', 'safe');
INSERT INTO task_events (task_id, kind) VALUES ('6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e', 'status');
"""
Connection = psycopg.Connection[Any]


def documented(beginning: str) -> str:
    """Return the SQL block of the document that starts with `beginning`."""
    [block] = re.findall(rf"^```sql\n({beginning}.+?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(block)


def migrate(url: str, *target: str) -> str:
    """Run `migrate` as an operator does; return the last line of its output."""
    finished = subprocess.run(
        [sys.executable, "manage.py", "migrate", *target],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A server with only the roles and the database of the document."""
    # The user that PostgreSQL runs as cannot read pytest's temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-roles-"))
    folder.chmod(0o755)
    with Postgresql(folder / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for statement in documented("CREATE ROLE").splitlines():
                connection.execute(statement)
        yield server
    rmtree(folder)


def url_of(server: Postgresql, role: str, database: str = "octollm") -> str:
    return server.url.replace("postgres:@/postgres?", f"{role}@/{database}?")


@pytest.fixture(scope="module")
def owner(server: Postgresql) -> Iterator[Connection]:
    """A connection of the owner of the tables, which is not a superuser."""
    url = url_of(server, "octollm")
    assert (
        migrate(url)
        == "The role octollm_service has the privileges that the running service needs."
    )
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def service_role(server: Postgresql, owner: Connection) -> Iterator[Connection]:
    with psycopg.connect(url_of(server, "octollm_service"), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("table", RECORDS)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET id = id",
        "DELETE FROM {}",
        "DELETE FROM {} WHERE false",
        "TRUNCATE {}",
        "SELECT * FROM {} FOR UPDATE",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "ALTER TABLE {} OWNER TO octollm_service",
        "DROP TABLE {}",
    ],
)
def test_service_can_neither_change_nor_delete_receipts_and_events(
    table: str, statement: str, owner: Connection, service_role: Connection
) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute("TRUNCATE receipts")
    with pytest.raises(InsufficientPrivilege):
        service_role.execute(statement.format(table))


def test_service_reads_and_adds_receipts_and_events(service_role: Connection) -> None:
    with service_role.transaction(force_rollback=True):
        service_role.execute(FILL)
        for table in RECORDS:
            row = service_role.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert row is not None
            assert row[0] >= 1


def test_service_cannot_make_a_migration_look_done(service_role: Connection) -> None:
    with pytest.raises(InsufficientPrivilege):
        service_role.execute("INSERT INTO django_migrations (app, name) VALUES ('tasks', '0099_x')")


def test_owner_prunes_receipts_as_documented(owner: Connection) -> None:
    owner.execute(
        "INSERT INTO receipts (verdict, created_at)"
        " VALUES ('blocked', now() - interval '2 years'), ('blocked', now())"
    )
    owner.execute(documented("DELETE FROM receipts"))
    ages = owner.execute("SELECT now() - created_at < interval '1 year' FROM receipts").fetchall()
    assert ages == [(True,)]


def test_owner_deletes_events_as_documented(owner: Connection) -> None:
    owner.execute(FILL)
    owner.execute(documented("BEGIN"))
    assert owner.execute("SELECT count(*) FROM task_events").fetchone() == (0,)


def test_migrating_grants_missing_privileges_and_revokes_excessive_ones(
    server: Postgresql, owner: Connection, service_role: Connection
) -> None:
    owner.execute("CREATE TABLE notes (id bigserial, text text)")
    owner.execute("GRANT ALL ON receipts TO octollm_service")
    migrate(url_of(server, "octollm"))
    service_role.execute("INSERT INTO notes (text) VALUES ('read me')")
    with pytest.raises(InsufficientPrivilege):
        service_role.execute("DELETE FROM receipts")
    owner.execute("DROP TABLE notes")


def test_every_table_with_its_own_privileges_exists(owner: Connection) -> None:
    for table in PRIVILEGES:
        owner.execute(f"SELECT FROM {table}")


def test_migrating_a_database_without_the_role_warns(server: Postgresql) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE alone OWNER octollm")
    assert migrate(url_of(server, "octollm", "alone")) == (
        "There is no role alone_service: the service uses the role of the owner, which may change "
        "receipts and events."
    )


def test_migrating_under_the_role_of_the_service_says_that_nothing_was_granted(
    server: Postgresql, owner: Connection
) -> None:
    assert migrate(url_of(server, "octollm_service")) == (
        "Nothing was granted to octollm_service: only the owner of the tables can do that."
    )


def test_migrating_back_to_no_tables_grants_nothing(server: Postgresql) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE backwards OWNER octollm")
    url = url_of(server, "octollm", "backwards")
    migrate(url)
    assert migrate(url, "safety", "zero") == "Nothing was granted: there are no tables."


def test_a_role_with_the_rights_of_the_owner_is_named(server: Postgresql) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE shared OWNER octollm")
        connection.execute("CREATE ROLE shared_service LOGIN IN ROLE octollm")
    assert migrate(url_of(server, "octollm", "shared")) == (
        "The role shared_service has the rights of the tables' owner: it may change receipts and "
        "events."
    )


class Browser:
    """The browser of a member of staff."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._session = requests.Session()

    def get(self, path: str) -> str:
        answer = self._session.get(self._service.url + path, timeout=30)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def post(self, path: str, **form: Any) -> str:
        """Send a form; return the path that it redirects to."""
        form["csrfmiddlewaretoken"] = self._session.cookies["csrftoken"]
        answer = self._session.post(
            self._service.url + path, data=form, timeout=30, allow_redirects=False
        )
        assert answer.status_code in (200, 302), (path, answer.status_code)
        return answer.headers.get("Location", "")

    def log_in(self, name: str, password: str) -> None:
        self.get("/admin/login/")
        assert self.post("/admin/login/?next=/admin/", username=name, password=password)


@pytest.fixture
def running(
    server: Postgresql, owner: Connection, tmp_path: Path, bundled_reflex_layer: str
) -> Iterator[Service]:
    """A service that uses its own role, with a superuser that was created with this role too."""
    url = url_of(server, "octollm_service")
    subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--noinput", "--email="],
        cwd=ROOT,
        env=os.environ
        | {
            "ORCHESTRATOR_DATABASE_URL": url,
            "DJANGO_SUPERUSER_USERNAME": "root",
            "DJANGO_SUPERUSER_PASSWORD": "a password for tests",
        },
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with Service(tmp_path, DATABASE_URL=url, REFLEX_URL=bundled_reflex_layer, WORKERS=1) as service:
        yield service


@pytest.fixture
def arm() -> Iterator[ScriptedArm]:
    """An arm that keeps its first caller waiting."""
    with ScriptedArm() as scripted:
        held = Held()
        scripted.behaviour = in_turn(held, works("done"))
        yield scripted
        held.release()


@pytest.fixture
def worker(
    server: Postgresql, tmp_path: Path, bundled_reflex_layer: str, arm: ScriptedArm
) -> Iterator[WorkerProcess]:
    """A worker that uses the role of the service, beside a service that uses it too."""
    with WorkerProcess(
        tmp_path,
        # Workers may have a URL of their own, past a pooler that the service uses.
        DATABASE_URL="postgresql://nowhere/none",
        WORKER_DATABASE_URL=url_of(server, "octollm_service"),
        REFLEX_URL=bundled_reflex_layer,
        ARMS=declared("helper", arm.url),
        MAX_COST_USD_PER_DAY=5,
    ) as worker:
        yield worker


def test_service_works_under_its_own_role(
    running: Service, owner: Connection, arm: ScriptedArm, worker: WorkerProcess
) -> None:
    def status_of(task: str) -> str:
        return str(running.get(f"/tasks/{task}").json()["status"])

    # Other tests have left some, which the worker would carry out too.
    owner.execute("UPDATE tasks SET status = 'completed'")
    assert running.get("/ready").status_code == 200
    task = running.submit().json()["task_id"]
    wait_until(lambda: arm.work, START_SECONDS)
    assert running.get(f"/tasks/{task}").status_code == 200
    assert running.submit(goal="Write to jane.doe@example.org").status_code == 403
    assert "octollm_orchestrator_tasks_by_status" in running.get("/metrics").text

    browser = Browser(running)
    browser.log_in("root", "a password for tests")
    for page in ("", "tasks/task/", f"tasks/task/{task}/change/", "safety/receipt/", "dry-run"):
        browser.get(f"/admin/{page}")
    browser.post("/admin/dry-run", text="Write to jane.doe@example.org")
    action = browser.post("/admin/tasks/task/", action="cancel", _selected_action=task, index="0")
    browser.get(action)
    browser.post(action, step="confirm", reason="the client asked for it")
    wait_until(lambda: status_of(task) == "cancelled")
    browser.get("/admin/tasks/action/")
    other = running.submit().json()["task_id"]
    wait_until(lambda: status_of(other) == "completed")
    assert len(arm.work) == 2

    new = {"username": "ada", "usable_password": "true"}
    secret = {"password1": "another for tests", "password2": "another for tests"}
    made = browser.post("/admin/auth/user/add/", **new, **secret)
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    assert browser.post(made, username="ada", is_active="on", is_staff="on", groups="1", **joined)
    assert browser.post("/admin/auth/group/add/", name="Auditor")
    colleague = Browser(running)
    colleague.log_in("ada", "another for tests")
    changed = {"old_password": "another for tests"}
    fresh = {"new_password1": "a third for tests", "new_password2": "a third for tests"}
    colleague.get("/admin/password_change/")
    assert colleague.post("/admin/password_change/", **changed, **fresh)
    colleague.post("/admin/logout/")
    browser.post(made.replace("change", "delete"), post="yes")

    assert owner.execute("SELECT username FROM auth_user").fetchall() == [("root",)]
    assert owner.execute("SELECT actor FROM task_events WHERE actor <> ''").fetchall() == [
        ("root",)
    ]
    assert worker.stop() == 0
    lines = running.log_lines() + worker.log_lines()
    assert [line for line in lines if line["level"] == "ERROR"] == []
