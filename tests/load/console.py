"""The time that the server takes for each page of the console, and for its statements."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

import django
import psycopg
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from tests.environment import ROOT
from tests.load.databases import Database
from tests.load.options import Options
from tests.load.parts import Parts
from tests.load.progress import tell
from tests.load.tables import machine, table

HEADER = ("page", "median ms", "slowest statement ms", "statements")
# Afterwards caches are filled and statements are prepared.
WARM_UP_REQUESTS = 3
REQUESTS_A_ROUND = 5
# The plans of slower statements are printed, and always the plan of the slowest.
SLOW_MS = 100
# A longer statement is cut off in the document.
STATEMENT_CHARACTERS = 3_000

TASKS = "/admin/tasks/task/"
RECEIPTS = "/admin/safety/receipt/"
DAY = ("from", "to")
# Of the parameters whose name in a URL does not say what they are.
LABELS = {"p": "page", "q": "search"}
ROWS_ON_A_PAGE = 100
MOST_PAGES = 100


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: Any
    ms: float


@dataclass(frozen=True)
class Visit:
    """One request for a page."""

    status: int
    ms: float
    statements: list[Statement]

    @property
    def slowest_ms(self) -> float:
        return max(statement.ms for statement in self.statements)


def measure(parts: Parts, options: Options) -> str:
    """Visit every page as a superuser; return the section of the document."""
    database = parts.new_database("console")
    tell(f"Filling the console with {options.rows:,} tasks")
    fill(database, options.rows)
    with database, logged_in(database.url) as client:
        visits = {}
        for name, path in pages(client, options.rows):
            tell(name)
            visits[name] = visit(client, path, options.rounds * REQUESTS_A_ROUND)
        plans = [explained(name, statement) for name, statement in worth_a_plan(visits)]
        version = database.server_version
    return (
        f"{machine(version)} {options.rows:,} tasks of `manage.py demo`; one process, one request "
        f"at a time. Medians of {options.rounds * REQUESTS_A_ROUND} requests per page, after "
        f"{WARM_UP_REQUESTS} warm-up requests.\n\n"
        + table(HEADER, [row(name, taken) for name, taken in visits.items()])
        + "".join(f"\n\n{plan}" for plan in plans)
    )


def fill(database: Database, tasks: int) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "demo", "--database-from-environment", "--tasks", str(tasks)],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": database.url, "ORCHESTRATOR_DEBUG": "true"},
        # Standard output is for the tables.
        stdout=sys.stderr,
        check=True,
    )
    database.settle()


@contextlib.contextmanager
def logged_in(url: str) -> Iterator[Client]:
    """Set up Django on a database in this process; yield a client signed in as a superuser."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
        "ORCHESTRATOR_DATABASE_URL": url,
        "ORCHESTRATOR_LOG_LEVEL": "ERROR",
    }
    django.setup()
    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    try:
        client.force_login(get_user_model().objects.create_superuser("admin"))
        yield client
    finally:
        connection.close()


def pages(client: Client, rows: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each page for staff."""
    task = apps.get_model("tasks", "TaskResult").objects.first().task
    receipts = apps.get_model("safety", "Receipt").objects
    receipt, blocked = task.receipt, receipts.filter(verdict="blocked").first()
    day = dict.fromkeys(DAY, f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    yield "dashboard", "/admin/"
    for choices in task_choices(day):
        yield listed("tasks", TASKS, choices)
    yield listed("tasks", TASKS, {"p": min(MOST_PAGES, 1 + (rows - 1) // ROWS_ON_A_PAGE)})
    for meaning, term in terms(str(task.pk), receipt.request_id):
        yield f"tasks, search for {meaning}", f"{TASKS}?{urlencode({'q': term})}"
    yield "a task", f"{TASKS}{task.pk}/change/"
    yield "preview of an action on yesterday's tasks", action_on(client, day, task.pk)
    yield "actions", "/admin/tasks/action/"
    for choices in receipt_choices(day):
        yield listed("receipts", RECEIPTS, choices)
    request_id = urlencode({"q": blocked.request_id})
    yield "receipts, search for a request id", f"{RECEIPTS}?{request_id}"
    yield "a receipt", f"{RECEIPTS}{blocked.pk}/change/"
    yield "users", "/admin/auth/user/"
    yield "dry run", "/admin/dry-run"
    yield "/metrics", "/metrics"


def action_on(client: Client, day: dict[str, str], task_id: object) -> str:
    """Choose all tasks of a day; return the path of the action's preview."""
    chosen = {"action": "cancel", "select_across": "1", "_selected_action": task_id}
    return client.post(f"{TASKS}?{urlencode(day)}", chosen)["Location"]


def task_choices(day: dict[str, str]) -> Iterator[dict[str, str]]:
    yield {}
    for status in "pending processing completed failed cancelled".split():
        yield {"status": status}
    for priority in "low medium high critical".split():
        yield {"priority": priority}
    for verdict in "safe flagged unscreened".split():
        yield {"verdict": verdict}
    for arm in ("coder", "safety-guardian", "nobody"):
        yield {"arm": arm}
    yield day
    for result in ("yes", "no"):
        yield {"result": result}
    for status in ("completed", "failed"):
        yield {"status": status, **day}
        yield {"status": status, "result": "no"}
        yield {"status": status, "verdict": "flagged", "result": "yes"}
        yield {"status": status, "priority": "critical", **day}
    yield {"verdict": "flagged", **day}
    yield {"arm": "safety-guardian", "status": "failed"}
    yield {"priority": "critical", "verdict": "flagged", "result": "no"}
    yield {"status": "failed", "q": "ledger"}


def receipt_choices(day: dict[str, str]) -> Iterator[dict[str, str]]:
    yield {}
    for verdict in "safe flagged blocked unscreened none".split():
        yield {"verdict": verdict}
    yield day
    yield {"verdict": "blocked", **day}
    for name in ("Email", "SSN", "MemoryStateAccess"):
        yield {"type": name}
    yield {"verdict": "blocked", "type": "Email", **day}


def terms(task_id: str, request_id: str) -> Iterator[tuple[str, str]]:
    yield "an id", task_id
    yield "8 characters of an id", task_id[:8]
    yield "a request id", request_id
    yield "a frequent word", "the"
    yield "a rare word", "Nordhafen"
    yield "two words", "invoices Lublin"
    yield "two frequent words", "the of"
    yield "an unknown word", "abracadabra"
    yield "a frequent and an unknown word", "the abracadabra"
    yield "10 kB", "the warehouse " * 715


def listed(name: str, path: str, choices: dict[str, Any]) -> tuple[str, str]:
    # Django's own filters have this suffix in a URL.
    plain = {"status", "priority", "verdict"}
    query = {f"{key}__exact" if key in plain else key: value for key, value in choices.items()}
    words = [f"{LABELS.get(key, key)} {value}" for key, value in choices.items() if key not in DAY]
    if len(words) < len(choices):
        words.append("yesterday")
    return ", ".join([name, *words]), f"{path}?{urlencode(query)}"


def visit(client: Client, path: str, times: int) -> list[Visit]:
    visits = [_visit(client, path) for _ in range(WARM_UP_REQUESTS + times)]
    return visits[WARM_UP_REQUESTS:]


def _visit(client: Client, path: str) -> Visit:
    statements: list[Statement] = []

    def timed(execute: Callable[..., Any], sql: str, parameters: Any, *others: Any) -> Any:
        started_at = time.perf_counter()
        try:
            return execute(sql, parameters, *others)
        finally:
            ms = (time.perf_counter() - started_at) * 1000
            statements.append(Statement(sql, parameters, ms))

    with connection.execute_wrapper(timed):
        started_at = time.perf_counter()
        response = client.get(path)
        # A streaming response runs its statements while it is read.
        response.getvalue()
        ms = (time.perf_counter() - started_at) * 1000
    return Visit(response.status_code, ms, statements)


def row(name: str, visits: list[Visit]) -> list[object]:
    last = visits[-1]
    return [
        name if last.status == 200 else f"{name}: {last.status}",
        f"{median(visit.ms for visit in visits):.1f}",
        f"{median(visit.slowest_ms for visit in visits):.1f}",
        len(last.statements),
    ]


def worth_a_plan(visits: dict[str, list[Visit]]) -> list[tuple[str, Statement]]:
    """Return the slow statements of the last visits with their pages; at least the slowest."""
    found = [
        (name, statement)
        for name, taken in visits.items()
        for statement in taken[-1].statements
        # Other statements have no plan, or must not be executed again.
        if statement.sql.lstrip().startswith(("SELECT", "WITH"))
    ]
    found.sort(key=lambda pair: pair[1].ms, reverse=True)
    return [pair for pair in found if pair[1].ms > SLOW_MS] or found[:1]


def explained(name: str, statement: Statement) -> str:
    """Return the statement with its parameters, and its plan with the measured times."""
    filled_in = psycopg.ClientCursor(connection.connection).mogrify(
        statement.sql, statement.parameters
    )
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {filled_in}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    shown = filled_in[:STATEMENT_CHARACTERS]
    return f"{statement.ms:.0f} ms, a statement of `{name}`:\n\n```\n{shown}\n\n{plan}\n```"
