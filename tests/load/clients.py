"""Requests with a key compared with anonymous ones and with a token; the lists of a client."""

import contextlib
import re
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any, Final

import requests

from tests.issuer import AUDIENCE, Issuer
from tests.load.options import Options
from tests.load.parts import Parts, Subject
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
# What most issuers use.
ALGORITHM = "RS256"
SCOPES = "task:submit task:read"
# A third of the tasks is anonymous.
SHARE = """
UPDATE tasks SET client_id = clients.id
FROM (SELECT id, row_number() OVER (ORDER BY name) AS number FROM clients) AS clients
WHERE clients.number = abs(mod(hashtext(tasks.id::text), 3))
"""
OF_CLIENT = "client_id = (SELECT id FROM clients WHERE name = '{}')"
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
    """Compare the callers, and measure each list; return the section of the document."""
    return f"{measure_requests(parts, options)}\n\n{measure_lists(parts, options)}"


def measure_requests(parts: Parts, options: Options) -> str:
    database = parts.new_database("clients")
    database.fill(TASKS)
    of_key: dict[Kind, list[Pair]] = defaultdict(list)
    of_token: dict[Kind, list[Pair]] = defaultdict(list)
    with contextlib.ExitStack() as opened:
        issuer = opened.enter_context(Issuer(algorithm=ALGORITHM))
        opened.enter_context(database)
        anonymous = opened.enter_context(
            parts.subject(
                database,
                options.workers,
                options.threads,
                JWT_ISSUER=issuer.url,
                JWT_AUDIENCE=AUDIENCE,
            )
        )
        key, token = create_key(database.url, "load-test"), issuer.token("load-test", SCOPES)
        # The first request makes its client.
        anonymous.service.get("/client", headers={"Authorization": f"Bearer {token}"})
        database.execute("UPDATE clients SET rate_limit = %s", RATE_LIMIT)
        database.execute(SHARE)
        anonymous.client.read(database.random_task_ids("client_id IS NULL"))
        with_key = showing(anonymous, key, "load-test")
        with_token = showing(anonymous, token, "token:load-test")
        # Otherwise PostgreSQL would clean up after the statement above at some moment.
        database.execute("VACUUM ANALYZE tasks")
        database.settle()
        for turn in range(options.rounds):
            tell(f"Anonymous, with a key, with a token: round {turn + 1} of {options.rounds}")
            for kind in REQUESTS:
                of_key[kind].append(compare(anonymous, with_key, kind, options.seconds))
                of_token[kind].append(compare(with_key, with_token, kind, options.seconds))
        version = database.server_version
    return (
        f"{circumstances(options, version)} {CONNECTIONS} connections. Rounds: {options.rounds}, "
        f"each anonymous, with a key, with a key, anonymous for {options.seconds} s, and the same "
        f"with a key and with a token ({ALGORITHM}, {len(token)} characters). Each client has a "
        "limit of requests, and the tasks that it reads are its own. Medians; minimum and maximum "
        "in brackets.\n\n"
        + compared("anonymous", "with a key", of_key)
        + "\n\n"
        + compared("with a key", "with a token", of_token)
    )


def showing(subject: Subject, credential: str, name: str) -> Subject:
    """Return the same service with a client that shows a key or token, and reads its own tasks."""
    client = subject.client.showing(credential)
    client.read(subject.database.random_task_ids(OF_CLIENT.format(name)))
    return replace(subject, client=client)


def compared(first: str, second: str, pairs: dict[Kind, list[Pair]]) -> str:
    return table(
        ("request", "measure", first, second, "ratio"),
        [row for kind, taken in pairs.items() for row in rows(kind, taken)],
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
