"""`manage.py demo`: a month of work that could have happened, in a database of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg.rows import namedtuple_row

from orchestrator_site.development.demo.receipts import ADDRESSES, DOCUMENTATION_ADDRESS
from safety.findings import INJECTION_TYPES, PII_TYPES, Finding, Kind, Severity
from safety.policy import Policy
from tasks.states import TRANSITIONS, Status
from tests.environment import ROOT

TASKS = 2_000
YESTERDAY = "created_at >= %(day)s::date - 1 AND created_at < %(day)s::date"
Connection = psycopg.Connection[Any]


def demo(url: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--database-from-environment", *arguments],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": url, "ORCHESTRATOR_DEBUG": "true"},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@contextlib.contextmanager
def look_into(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True, row_factory=namedtuple_row) as connection:
        # Its days are those of the console.
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def filled_url() -> str:
    """A database without its tables at first, then filled by the command."""
    server_url = os.environ["ORCHESTRATOR_DATABASE_URL"]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE demo")
    url = server_url.replace("/postgres?", "/demo?")
    process = demo(url, "--tasks", str(TASKS))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    named, made = said.splitlines()
    assert named.startswith("Using the database of ORCHESTRATOR_DATABASE_URL: demo on /")
    assert made == f"{TASKS:,} tasks are stored."
    return url


@pytest.fixture
def filled(filled_url: str) -> Iterator[Connection]:
    with look_into(filled_url) as connection:
        yield connection


@pytest.fixture
def copy_url(filled_url: str) -> Iterator[str]:
    """A copy of the filled database, to be filled further."""
    server_url = os.environ["ORCHESTRATOR_DATABASE_URL"]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE demo_copy TEMPLATE demo")
        yield server_url.replace("/postgres?", "/demo_copy?")
        connection.execute("DROP DATABASE demo_copy WITH (FORCE)")


def value(connection: Connection, query: str, **parameters: Any) -> Any:
    row = connection.execute(f"SELECT {query}", parameters).fetchone()
    assert row is not None
    return row[0]


def rows(connection: Connection, query: str, **parameters: Any) -> list[Any]:
    return connection.execute(f"SELECT {query}", parameters).fetchall()


def test_there_are_as_many_tasks_as_asked_for_and_more_results_and_events(
    filled: Connection,
) -> None:
    assert value(filled, "count(*) FROM tasks") == TASKS
    assert 1.0 <= value(filled, "count(*) FROM task_results") / TASKS <= 1.3
    assert 2.0 <= value(filled, "count(*) FROM task_events") / TASKS <= 3.2


def test_there_is_something_in_every_status_priority_and_verdict(filled: Connection) -> None:
    def share(column: str, word: str) -> float:
        return float(value(filled, f"count(*) FROM tasks WHERE {column} = %(word)s", word=word))

    assert share("status", "completed") / TASKS > 0.8
    for status in ("failed", "cancelled"):
        assert 0.01 < share("status", status) / TASKS < 0.1
    for status in ("pending", "processing"):
        assert 0 < share("status", status) / TASKS < 0.05
    for priority in ("low", "medium", "high", "critical"):
        assert share("priority", priority) / TASKS > 0.02
    assert 0.01 < share("verdict", "flagged") / TASKS < 0.1


def test_tasks_came_in_the_last_30_days_and_mostly_by_day(filled: Connection) -> None:
    oldest, newest, now = rows(filled, "min(created_at), max(updated_at), now() FROM tasks")[0]
    assert timedelta(days=29) < now - oldest < timedelta(days=30, minutes=5)
    assert newest <= now
    by_hour = "count(*) FROM tasks WHERE extract(hour FROM created_at) BETWEEN"
    assert value(filled, f"{by_hour} 8 AND 11") > 4 * value(filled, f"{by_hour} 0 AND 3")


def test_every_task_has_its_receipt(filled: Connection) -> None:
    assert value(filled, "count(*) FROM receipts JOIN tasks USING (id)") == 0
    matching = """count(*) FROM tasks JOIN receipts ON subject_id = tasks.id
        WHERE tasks.verdict = receipts.verdict AND tasks.created_at = receipts.created_at"""
    assert value(filled, matching) == TASKS
    assert value(filled, "count(DISTINCT request_id) = count(*) FROM receipts")
    assert value(filled, "array_agg(DISTINCT policy_version) FROM receipts") == [Policy().version]


def test_some_submissions_were_refused(filled: Connection) -> None:
    refused = dict(
        rows(
            filled,
            "verdict, count(*) FROM receipts WHERE subject_id IS NULL GROUP BY verdict",
        )
    )
    assert set(refused) <= {"blocked", "none"}
    # Seven in a hundred; what else is drawn depends on the hour of the test.
    assert 0.045 <= sum(refused.values()) / TASKS <= 0.095
    assert refused.get("none", 0) < refused["blocked"] / 5
    # The constraint of the table asks for a reason where there is no verdict, and only there.
    assert {reason for (reason,) in rows(filled, "DISTINCT reason FROM receipts")} <= {
        "",
        "deadline exceeded",
        "connection failed",
        "server error",
        "rate limited",
    }


def test_what_was_found_explains_the_verdict(filled: Connection) -> None:
    for receipt in rows(filled, "* FROM receipts WHERE verdict <> 'none'"):
        assert len(receipt.findings) == receipt.findings_count
        assert receipt.types == sorted({finding["type"] for finding in receipt.findings})
        assert {*receipt.types} <= PII_TYPES | INJECTION_TYPES
        findings = []
        for finding in receipt.findings:
            places = finding.pop("places")
            assert finding.pop("places_count") == len(places)
            for place in places:
                assert place.keys() == {"field", "start", "end", "is_key"}
                assert 0 <= place["start"] < place["end"]
            severity = finding["severity"] and Severity[finding["severity"].upper()]
            findings.append(
                Finding(**finding | {"kind": Kind(finding["kind"]), "severity": severity})
            )
            assert findings[-1].as_dict() == finding
        judgement = Policy().judge(tuple(findings), reflex_layer_blocks=False)
        assert receipt.verdict == judgement.verdict


def test_every_life_is_one_that_the_service_allows(filled: Connection) -> None:
    events: dict[Any, list[Any]] = defaultdict(list)
    changes = "kind IN ('status', 'priority')"
    for event in rows(filled, f"* FROM task_events WHERE {changes} ORDER BY id"):
        events[event.task_id].append(event)
    failed_to_plan = "task_id FROM runs WHERE failure_code = 'plan_invalid'"
    never_planned = {row.task_id for row in rows(filled, failed_to_plan)}
    for task in rows(filled, "* FROM tasks"):
        status, priority, at = None, None, task.created_at
        for event in events[task.id]:
            before, after = event.data["from"], event.data["to"]
            if event.kind == "status":
                assert before == status or (status is None and before == "pending")
                assert Status(after) in TRANSITIONS[Status(before)]
                status = after
                # Staff put failed tasks back and cancel; the rest is the service's.
                assert bool(event.actor) == (after in ("pending", "cancelled"))
                assert bool(event.reason) <= (after in ("pending", "cancelled", "failed"))
                assert bool(event.reason) >= (after in ("pending", "cancelled"))
            else:
                assert before == (priority or before) != after
                assert status in (None, "pending")
                priority = after
                assert event.actor
                assert event.reason
            assert event.created_at > at
            at = event.created_at
        assert task.status == (status or "pending")
        assert task.priority == (priority or task.priority)
        assert task.updated_at == at
        is_started = any(event.data["to"] == "processing" for event in events[task.id])
        # A task whose plans were invalid had no arm that carried anything out.
        assert bool(task.assigned_arm) == (is_started and task.id not in never_planned)


def test_ended_tasks_have_results_up_to_their_end_as_far_as_there_is_something(
    filled: Connection,
) -> None:
    what_there_is = (
        "task_id FROM runs WHERE failure_code IN ('criteria_not_met', 'decision_expired')"
    )
    partly_done = {row.task_id for row in rows(filled, what_there_is)}
    found = rows(
        filled,
        "tasks.id, status, updated_at, count(task_results.id) AS count, "
        "min(task_results.created_at) AS first, max(task_results.created_at) AS last, "
        "tasks.created_at AS submitted_at FROM tasks "
        "LEFT JOIN task_results ON task_id = tasks.id GROUP BY tasks.id",
    )
    for task in found:
        if task.status == "completed" or task.id in partly_done:
            assert task.submitted_at < task.first <= task.last == task.updated_at
        else:
            assert task.count == 0
    assert max(task.count for task in found) >= 2


def test_one_critical_task_of_yesterday_has_failed_and_its_event_says_why(
    filled: Connection,
) -> None:
    day = datetime.now(UTC).date()
    stories = rows(
        filled,
        f"* FROM tasks WHERE {YESTERDAY} AND priority = 'critical' AND status = 'failed'",
        day=day,
    )
    assert [story.goal for story in stories] == [
        "Reconcile the invoices of warehouse Nordhafen against the transit ledger"
    ]
    assert value(filled, "count(*) FROM tasks WHERE goal ~ 'Nordhafen'") == 1
    last = rows(
        filled,
        "* FROM task_events WHERE task_id = %(id)s ORDER BY id DESC LIMIT 1",
        id=stories[0].id,
    )
    assert last[0].data == {"from": "processing", "to": "failed"}
    assert last[0].reason == "executor: connection to the ledger refused after 3 attempts"


def test_the_planner_knows_the_tables_afterwards(filled: Connection) -> None:
    estimates = dict(
        rows(
            filled,
            "relname, reltuples::int FROM pg_class WHERE relname = ANY(%(names)s)",
            names=["tasks", "receipts", "task_events", "task_results"],
        )
    )
    for table, estimate in estimates.items():
        assert estimate == value(filled, f"count(*) FROM {table}")
    assert len(estimates) == 4


def test_a_second_run_adds_other_tasks(copy_url: str) -> None:
    with look_into(copy_url) as connection:
        before = {row.request_id for row in rows(connection, "request_id FROM receipts")}
        demo(copy_url, "--tasks", "300").communicate(timeout=60)
        assert value(connection, "count(*) FROM tasks") == TASKS + 300
        after = rows(connection, "request_id FROM receipts")
        # They come of the seed, as do the texts; ids do not.
        assert len({row.request_id for row in after} - before) == len(after) - len(before) >= 300


def test_a_database_of_an_older_version_is_refused(copy_url: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "safety", "0005", "--verbosity=0"],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": copy_url},
        check=True,
    )
    process = demo(copy_url, "--tasks", "300", stderr=subprocess.PIPE)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is not up to date: run `make migrate` first." in error


def test_ctrl_c_leaves_whole_tasks_and_says_how_many(copy_url: str) -> None:
    with look_into(copy_url) as connection:
        process = demo(copy_url, "--tasks", "1000000")
        give_up_at = time.monotonic() + 30
        while value(connection, "count(*) FROM tasks") == TASKS:
            assert time.monotonic() < give_up_at
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        stored = value(connection, "count(*) FROM tasks") - TASKS
        assert said.splitlines()[-1] == f"Stopped: {stored:,} tasks are stored."
        whole = """count(*) FROM tasks JOIN receipts ON subject_id = tasks.id
            WHERE occasion = 'submission'"""
        assert value(connection, whole) == TASKS + stored


def test_a_terminal_shows_how_many_are_stored(copy_url: str) -> None:
    reader, writer = os.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    said, _ = demo(copy_url, "--tasks", "300", stderr=writer).communicate(timeout=60)
    os.close(writer)
    with open(reader, "rb", buffering=0) as terminal:
        shown = terminal.read(10_000).decode()
    assert "300/300" in shown
    assert said.splitlines()[-1] == "300 tasks are stored."


def test_outside_of_development_it_refuses_in_one_line() -> None:
    with pytest.raises(CommandError, match=r"^This is for development only.*`make demo`\.$"):
        call_command("demo")


@pytest.mark.parametrize("number", ["0", "-5"])
def test_no_tasks_at_all_are_refused(settings: Any, number: str) -> None:
    settings.DEVELOPMENT = True
    with pytest.raises(CommandError, match="--tasks must be at least 1"):
        call_command("demo", "--tasks", number)


SERVED = """
INSERT INTO tasks (id, goal) VALUES ('6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e', 'of a client');
INSERT INTO receipts (subject_id, verdict, client_address)
VALUES ('6f9f4f63-7d5a-4a55-8dcb-6a1d4e4b9f0e', 'safe', '10.1.2.3');
"""


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(SERVED, id="of a client"),
        pytest.param("INSERT INTO tasks (goal) VALUES ('by hand')", id="by plain SQL"),
    ],
)
def test_a_database_that_holds_a_task_of_others_is_named_and_refused(
    copy_url: str, statements: str
) -> None:
    with look_into(copy_url) as connection:
        connection.execute(statements)
        process = demo(copy_url, "--tasks", "300", stderr=subprocess.STDOUT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        folder = copy_url.partition("?host=")[2]
        assert said.splitlines() == [
            f"Using the database of ORCHESTRATOR_DATABASE_URL: demo_copy on {folder}",
            f"CommandError: demo_copy on {folder} holds tasks that `demo` has not made. Nothing "
            "was stored.",
        ]
        assert value(connection, "count(*) FROM tasks") == TASKS + 1


def test_addresses_of_demonstration_tasks_are_those_they_are_known_by() -> None:
    assert all(re.match(DOCUMENTATION_ADDRESS, address) for address in ADDRESSES)
