"""Requests with a key compared with anonymous ones, and the lists of a client with many tasks."""

import re
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any, Final

import requests

from tests.load.options import Options
from tests.load.parts import Parts
from tests.load.progress import tell
from tests.load.scale import CONNECTIONS, Pair, compare, rows
from tests.load.tables import circumstances, median, table
from tests.load.wrk import REQUESTS, Kind
from tests.postgresql import create_key
from tests.service import ANSWER_SECONDS

# Enough for reads to hit different tasks.
TASKS = 10_000
# So high that no request is refused, so that each is counted.
RATE_LIMIT = 1_000_000
# All tasks are those of this client, in the measurement of lists.
OWNED = "UPDATE tasks SET client_id = (SELECT id FROM clients)"
# A few tasks that have changed lately, and of a rare status and priority.
RARE = """
UPDATE tasks SET status = 'cancelled', priority = 'critical', updated_at = now()
WHERE id IN (SELECT id FROM tasks ORDER BY created_at LIMIT 30)
"""
REQUESTS_PER_LIST = 20
LISTS: Final = {
    "no filter": {},
    "one status": {"status": "failed"},
    "a rare status": {"status": "cancelled", "priority": "critical"},
    "three statuses": {"status": ["pending", "processing", "cancelled"]},
    "one priority": {"priority": "high"},
    "two statuses, two priorities": {
        "status": ["completed", "failed"],
        "priority": ["low", "critical"],
    },
    "created after": {"created_after": "{days_3}"},
    "created before": {"created_before": "{days_15}"},
    "created between": {"created_after": "{days_20}", "created_before": "{days_15}"},
    "changed after, few": {"updated_after": "{days_0}"},
    "changed after, many": {"updated_after": "{days_15}"},
    "all filters": {
        "status": ["completed", "failed"],
        "priority": "high",
        "created_after": "{days_20}",
        "created_before": "{days_3}",
        "updated_after": "{days_15}",
    },
}


def measure(parts: Parts, options: Options) -> str:
    """Compare both callers, and measure each list; return the section of the document."""
    return f"{measure_requests(parts, options)}\n\n{measure_lists(parts, options)}"


def measure_requests(parts: Parts, options: Options) -> str:
    database = parts.new_database("clients")
    database.fill(TASKS)
    pairs: dict[Kind, list[Pair]] = defaultdict(list)
    with database, parts.subject(database, options.workers, options.threads) as anonymous:
        key = create_key(database.url, "load-test")
        client = anonymous.client.with_key(key)
        database.execute("UPDATE clients SET rate_limit = %s", RATE_LIMIT)
        database.execute(f"{OWNED} WHERE mod(hashtext(id::text), 2) = 0")
        anonymous.client.read(database.random_task_ids("client_id IS NULL"))
        client.read(database.random_task_ids("client_id IS NOT NULL"))
        # Otherwise PostgreSQL would clean up after the statement above at some moment.
        database.execute("VACUUM ANALYZE tasks")
        database.settle()
        with_key = replace(anonymous, client=client)
        for turn in range(options.rounds):
            tell(f"Anonymous and with a key, round {turn + 1} of {options.rounds}")
            for kind in REQUESTS:
                pairs[kind].append(compare(anonymous, with_key, kind, options.seconds))
        version = database.server_version
    return (
        f"{circumstances(options, version)} {CONNECTIONS} connections. Rounds: {options.rounds}, "
        f"each anonymous, with a key, with a key, anonymous for {options.seconds} s. The client "
        "has a limit of requests, and the tasks that it reads are its own. Medians; minimum and "
        "maximum in brackets.\n\n"
        + table(
            ("request", "measure", "anonymous", "with a key", "ratio"),
            [row for kind, taken in pairs.items() for row in rows(kind, taken)],
        )
    )


def measure_lists(parts: Parts, options: Options) -> str:
    """Request the first pages of each list, one request at a time."""
    database = parts.new_database("lists")
    tell(f"Filling a table with {options.rows:,} tasks of one client")
    key = create_key(database.url, "load-test")
    database.fill(options.rows, client="(SELECT id FROM clients)")
    database.execute(RARE)
    database.execute("VACUUM ANALYZE tasks")
    database.settle()
    lines = []
    with database, parts.subject(database, 1, options.threads) as subject:
        for name, parameters in LISTS.items():
            tell(f"List: {name}")
            times, found = pages(subject.service.url, key, parameters)
            lines.append((name, len(times), found, median(times), f"{max(times):.1f}"))
        version = database.server_version
    return (
        f"{circumstances(options, version)} Lists of 50 of a client with {options.rows:,} tasks of "
        f"30 days; up to {REQUESTS_PER_LIST} pages of each, one request at a time.\n\n"
        + table(("filter", "pages", "tasks on them", "median ms", "max ms"), lines)
    )


def pages(url: str, key: str, parameters: dict[str, Any]) -> tuple[list[float], int]:
    """Follow a list from its first page; return the time of each request, and the tasks found."""
    times, found = [], 0
    following: str | None = f"{url}/tasks"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        # The first request of a connection would pay for it.
        session.get(f"{url}/client", timeout=ANSWER_SECONDS)
        chosen = {name: days_ago(value) for name, value in parameters.items()}
        while following is not None and len(times) < REQUESTS_PER_LIST:
            started = time.perf_counter()
            answer = session.get(following, params=chosen, timeout=ANSWER_SECONDS)
            times.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"A list was answered with {answer.status_code}")
            page = answer.json()
            found += len(page["results"])
            following, chosen = page["next"], {}
    return times, found


def days_ago(value: Any) -> Any:
    found = re.fullmatch(r"\{days_(\d+)\}", value) if isinstance(value, str) else None
    if found is None:
        return value
    # A minute more, so that zero days are not the present.
    moment = time.time() - int(found[1]) * 86_400 - 60
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
