"""Faults of workers and of their database, while clients submit tasks and cancel them."""

import contextlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.arms import Received, ScriptedArm, completes, hangs, says_status, works
from tests.faults.conftest import DATABASE_TIMEOUT_SECONDS
from tests.faults.trial import LONG, Form
from tests.faults.worker_table import JudgeWork, Work
from tests.postgresql import Postgresql, as_service, create_key
from tests.service import ANSWER_SECONDS, Service
from tests.tasks.clients.keys import bearer
from tests.waiting import wait_until
from tests.witness import WitnessArm
from tests.workers import Database, WorkerProcess, declared, submit

WORKERS = 3
CLIENTS = 6
SUBMISSIONS_PER_SECOND = 3
KILL_EVERY_SECONDS = 4.0
# After the last fault: leases run out, the reconciler finds what is lost, and calls are repeated.
END_SECONDS = 120
CANCEL_SECONDS = 2.0
BUDGETED = 200
MAX_TOKENS = 10_000
# Calls take a while, so that faults come in the middle of them, and both arms are busy.
CALL_SECONDS = 1.5


@dataclass
class Clients:
    """Clients that submit tasks, and cancel some of them."""

    url: str
    key: str
    stored: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Clients":
        self._threads = [threading.Thread(target=self._work, args=[n]) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        with requests.Session() as session:
            session.headers.update(bearer(self.key))
            for turn in itertools.count():
                # The service itself may answer 503 while its database restarts.
                with contextlib.suppress(requests.RequestException, ValueError):
                    self._submit(session, f"Sort the reviews of client {number}, {turn}", chance)
                if self._over.wait(CLIENTS / SUBMISSIONS_PER_SECOND / 2):
                    return

    def _submit(self, session: requests.Session, goal: str, chance: random.Random) -> None:
        answer = session.post(f"{self.url}/submit", json={"goal": goal}, timeout=ANSWER_SECONDS)
        if answer.status_code != 200:
            return
        task_id = answer.json()["task_id"]
        self.stored.add(task_id)
        if chance.random() < 0.2:
            path = f"{self.url}/tasks/{task_id}/cancel"
            if session.post(path, timeout=ANSWER_SECONDS).status_code == 200:
                self.cancelled.add(task_id)


@pytest.fixture
def witnesses(tmp_path: Path) -> Iterator[dict[str, WitnessArm]]:
    with WitnessArm(tmp_path / "safe") as safe, WitnessArm(tmp_path / "unsafe") as unsafe:
        for arm in (safe, unsafe):
            arm.then = slow
        yield {"safe": safe, "unsafe": unsafe}


def slow(request: Received, connection: Any) -> bool:
    time.sleep(CALL_SECONDS)
    return works()(request, connection)


@contextlib.contextmanager
def web(server: Postgresql, reflex_url: str, folder: Path) -> Iterator[Service]:
    with Service(
        folder,
        DATABASE_URL=as_service(server.url),
        REFLEX_URL=reflex_url,
        WORKERS=1,
        DATABASE_TIMEOUT_SECONDS=DATABASE_TIMEOUT_SECONDS,
    ) as service:
        assert service.get("/ready").status_code == 200
        yield service


@contextlib.contextmanager
def workers(
    server: Postgresql, reflex_url: str, folder: Path, arms: str, **variables: Any
) -> Iterator[list[WorkerProcess]]:
    """Start workers; the block may replace them."""
    settings = {
        "DATABASE_URL": as_service(server.url),
        "REFLEX_URL": reflex_url,
        "ARMS": arms,
        "WORKER_CONCURRENCY": 4,
        **variables,
    }
    running: list[WorkerProcess] = []
    try:
        for number in range(WORKERS):
            place = folder / f"worker-{number}"
            place.mkdir()
            running.append(WorkerProcess(place, **settings))
        for worker in running:
            worker.until_started()
        yield running
    finally:
        for worker in running:
            worker.__exit__()


def test_workers_and_database_killed(
    server: Postgresql,
    bundled_reflex_layer: str,
    tmp_path: Path,
    witnesses: dict[str, WitnessArm],
    form: Form,
    judge_work: JudgeWork,
) -> None:
    seconds = 300 if form is LONG else 25
    arms = ",".join(
        declared(name, arm.url, idempotent=name == "safe", tier=1)
        for name, arm in witnesses.items()
    )
    chance = random.Random(1)
    kills = 0
    restarts_at = [seconds / 3, seconds * 2 / 3]
    with contextlib.ExitStack() as opened:
        service = opened.enter_context(web(server, bundled_reflex_layer, tmp_path))
        running = opened.enter_context(workers(server, bundled_reflex_layer, tmp_path, arms))
        began_at = time.monotonic()
        with Clients(service.url, create_key(server.url, "submits-and-cancels")) as clients:
            while (passed := time.monotonic() - began_at) < seconds:
                time.sleep(KILL_EVERY_SECONDS)
                number = chance.randrange(WORKERS)
                running[number] = running[number].replaced()
                kills += 1
                if restarts_at and passed > restarts_at[0]:
                    del restarts_at[0]
                    server.stop()
                    server.start()
        faults_ended_at = time.monotonic()
        with psycopg.connect(server.url, autocommit=True) as database:
            wait_until(lambda: unfinished(database) == 0, END_SECONDS)
            ended_after = time.monotonic() - faults_ended_at
            judge_work(
                "Workers and PostgreSQL killed",
                Work(
                    done=f"`kill -9` of one of {WORKERS} workers every {KILL_EVERY_SECONDS:g} s "
                    f"({kills} times) and two restarts of PostgreSQL, for {seconds} s",
                    statuses=statuses(database),
                    calls=calls_by_outcome(database),
                    recovered_seconds=ended_after,
                    wrong=wrong(database, clients, witnesses),
                ),
            )


def unfinished(database: Database) -> int:
    row = database.execute(
        "SELECT count(*) FROM tasks LEFT JOIN steps ON steps.task_id = tasks.id"
        " AND steps.ended_at IS NULL"
        " WHERE status IN ('pending', 'processing') AND waits_for IS NULL"
    ).fetchone()
    assert row is not None
    return int(row[0])


def statuses(database: Database) -> Counter[str]:
    rows = database.execute("SELECT status, count(*) FROM tasks GROUP BY status").fetchall()
    return Counter(dict(rows))


def calls_by_outcome(database: Database) -> Counter[str]:
    rows = database.execute("SELECT outcome, count(*) FROM calls GROUP BY outcome").fetchall()
    return Counter(dict(rows))


def wrong(database: Database, clients: Clients, arms: dict[str, WitnessArm]) -> list[str]:
    """Return a line for each kind of broken guarantee."""
    status_of = {
        str(task_id): status
        for task_id, status in database.execute("SELECT id, status FROM tasks").fetchall()
    }
    arms_of: dict[str, set[str]] = {}
    for key, arm in database.execute("SELECT DISTINCT step_id::text, arm FROM calls").fetchall():
        arms_of.setdefault(key, set()).add(arm)
    seen = {name: arm.carried_out for name, arm in arms.items()}
    completed = {
        (key, arm)
        for key, arm in database.execute(
            "SELECT step_id::text, arm FROM calls WHERE outcome = 'succeeded'"
        ).fetchall()
    }
    codes = database.execute(
        "SELECT DISTINCT failure_code FROM runs WHERE failure_code IS NOT NULL"
    ).fetchall()
    found: dict[str, Any] = {
        "no task carried out": not completed,
        "no task cancelled": not clients.cancelled,
        "arm that was never asked": [name for name, keys in seen.items() if not keys],
        "task that a client was told is stored, and is not": clients.stored - set(status_of),
        "cancelled task in another status": [
            one for one in clients.cancelled if status_of.get(one) != "cancelled"
        ],
        "effect without its intent": [
            key
            for name, keys in seen.items()
            for key in keys
            if name not in arms_of.get(key, set())
        ],
        "key twice at the arm that is not idempotent": [
            key for key, times in seen["unsafe"].items() if times > 1
        ],
        "completed call that no arm has seen": [
            (key, arm) for key, arm in completed if key not in seen[arm]
        ],
        "failure that no fault explains": set(codes) - {("outcome_unknown",)},
    }
    found |= {name: count for name, count in leftovers(database).items() if count}
    return [f"{name}: {what}" for name, what in found.items() if what]


def leftovers(database: Database) -> dict[str, Any]:
    row = database.execute(
        "SELECT (SELECT count(*) FROM attempts WHERE ended_at IS NULL),"
        " (SELECT count(*) FROM calls WHERE ended_at IS NULL),"
        " (SELECT coalesce(sum(reserved_tokens), 0) FROM budgets),"
        " (SELECT coalesce(sum(reserved_usd), 0) FROM budgets)"
    ).fetchone()
    assert row is not None
    names = ("open attempts", "open calls", "reserved tokens", "reserved dollars")
    return dict(zip(names, row, strict=True))


# Money


def test_budgets_of_many_tasks(
    server: Postgresql,
    bundled_reflex_layer: str,
    tmp_path: Path,
    judge_work: JudgeWork,
) -> None:
    """Each task wants more tokens than it has: the model asks for another try, and reports much."""
    with ScriptedArm() as model, psycopg.connect(server.url, autocommit=True) as database:
        turns = itertools.count()

        def greedy(request: Received, connection: Any) -> bool:
            # 503 ends the reservation; a broken connection has spent it.
            match next(turns) % 3:
                case 0:
                    return says_status("500 Internal Server Error")(request, connection)
                case 1:
                    usage = {"prompt_tokens": 9_000, "completion_tokens": 4_000}
                    return completes("", usage=usage)(request, connection)
            return completes("done", usage=None)(request, connection)

        model.behaviour = greedy
        arms = declared("model", model.model_url, protocol="openai", model="m", room=50, tier=1)
        clear(database)
        options = {"WORKER_CONCURRENCY": 16}
        with workers(server, bundled_reflex_layer, tmp_path, arms, **options):
            began_at = time.monotonic()
            for number in range(BUDGETED):
                submit(database, f"Sort the reviews, {number}", max_tokens=MAX_TOKENS)
            wait_until(lambda: unfinished(database) == 0, END_SECONDS)
        beyond = database.execute(BEGUN_ABOVE, [MAX_TOKENS]).fetchall()
        faults = [f"{len(beyond)} x call begun above the budget"] if beyond else []
        faults += [f"{name}: {count}" for name, count in leftovers(database).items() if count]
        judge_work(
            "Budgets",
            Work(
                done=f"{BUDGETED} tasks at once, each with {MAX_TOKENS:,} tokens, want more",
                statuses=statuses(database),
                calls=calls_by_outcome(database),
                recovered_seconds=time.monotonic() - began_at,
                wrong=faults,
            ),
        )


# Calls whose reservation, with what the calls before it had used, was more than the budget.
BEGUN_ABOVE = """
    SELECT calls.id FROM calls WHERE reserved_tokens + (
        SELECT coalesce(sum(tokens), 0) FROM calls AS earlier
        WHERE earlier.step_id = calls.step_id AND earlier.number < calls.number
    ) > %s
"""


def clear(database: Database) -> None:
    """Begin with no tasks of an earlier test."""
    database.execute(
        "TRUNCATE procrastinate_jobs, budgets, calls, attempts, steps, runs, arms CASCADE"
    )
    database.execute("ALTER TABLE task_events DISABLE TRIGGER task_events_refuse_truncate")
    database.execute("TRUNCATE tasks, task_results, task_events CASCADE")
    database.execute("ALTER TABLE task_events ENABLE TRIGGER task_events_refuse_truncate")


# Cancelling


def test_cancel_during_a_call(
    server: Postgresql,
    bundled_reflex_layer: str,
    tmp_path: Path,
    judge_work: JudgeWork,
) -> None:
    closed = threading.Event()
    with ScriptedArm() as arm, psycopg.connect(server.url, autocommit=True) as database:

        def waits(request: Received, connection: Any) -> bool:
            hangs()(request, connection)
            closed.set()
            return False

        arm.behaviour = waits
        clear(database)
        headers = bearer(create_key(server.url, "cancels"))
        took = []
        with (
            web(server, bundled_reflex_layer, tmp_path) as service,
            workers(server, bundled_reflex_layer, tmp_path, declared("helper", arm.url)),
        ):
            for number in range(5):
                closed.clear()
                body = {"goal": f"Sort the reviews, {number}"}
                submitted = service.request("POST", "/submit", json=body, headers=headers)
                path = f"/tasks/{submitted.json()['task_id']}/cancel"
                wait_until(lambda expected=number + 1: len(arm.work) == expected)
                cancelled = service.request("POST", path, headers=headers)
                assert cancelled.json()["status"] == "cancelled"
                answered_at = time.monotonic()
                assert closed.wait(10)
                took.append(time.monotonic() - answered_at)
        slowest = max(took)
        faults = [] if slowest <= CANCEL_SECONDS else [f"a call was closed after {slowest:.1f} s"]
        faults += [f"{name}: {count}" for name, count in leftovers(database).items() if count]
        judge_work(
            "Cancel during a call",
            Work(
                done=f"POST /tasks/{{id}}/cancel, {len(took)} times; the arm never answers",
                statuses=statuses(database),
                calls=calls_by_outcome(database),
                recovered_seconds=slowest,
                wrong=faults,
            ),
        )
