"""How fast workers carry tasks out, with an arm and a Reflex Layer that answer at once.

A plain worker of procrastinate, with the same two HTTP calls and one UPDATE, is the yardstick.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from tests.environment import ROOT
from tests.load.databases import Database
from tests.load.options import Options
from tests.load.parts import Parts
from tests.load.processes import processor_seconds
from tests.load.progress import tell
from tests.load.tables import machine, median, spread, table
from tests.postgresql import create_key
from tests.service import Service

# In one measurement of `--seconds`.
TASKS_A_SECOND: Final = 200
# The worker warms up before the first share of the tasks is done, and runs dry after the second.
MEASURED_FROM, MEASURED_TO = 0.15, 0.95
GIVE_UP_SECONDS = 120
SUBMISSIONS = 60
PAUSE_SECONDS = 0.02
IDLE_SECONDS = 20
# For every task of the full table there is one waiting in ten.
DEPTH_SHARE = 10
# More than the worker has threads.
ROOM = 64
# A rule checks it.
CRITERIA = '["At most 200 words"]'
STOP_SECONDS = 40
# As submissions store them, with their bells.
FILL = """
WITH made AS (
    INSERT INTO tasks (goal, priority, constraints, context, acceptance_criteria)
    SELECT 'Analyze sentiment of user reviews, batch ' || number, %(priority)s,
        '["No PII in output"]', '{"reviews": ["Great value", "Arrived late"]}',
        %(criteria)s
    FROM generate_series(1, %(count)s) AS number
    RETURNING id
)
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args)
SELECT %(queue)s, %(job)s, %(rank)s, id::text, jsonb_build_object('task', id) FROM made
"""
# As if no arm had been there when their bells rang.
PARK = """
WITH waiting AS (DELETE FROM procrastinate_jobs WHERE status = 'todo' RETURNING args),
run AS (
    INSERT INTO runs (task_id, number) SELECT (args ->> 'task')::uuid, 1 FROM waiting
    RETURNING id, task_id
), budget AS (
    INSERT INTO budgets (run_id, max_tokens, max_cost_usd) SELECT id, 10000, 1 FROM run
)
INSERT INTO steps (id, run_id, task_id, capability, rank, waits_for, parked_at)
SELECT gen_random_uuid(), id, task_id, 'execute', -90000, 'release', now() FROM run
"""
EMPTY = """
ALTER TABLE task_events DISABLE TRIGGER task_events_refuse_truncate;
TRUNCATE tasks, task_results, task_events, runs, budgets, steps, attempts, calls, counts,
    procrastinate_jobs CASCADE;
"""
HEAD_STARTS: Final = {"critical": 86_400, "low": -3_600}
# The beginning of 2026, from which ranks count.
ORIGIN: Final = 1_767_225_600


@dataclass(frozen=True)
class Speed:
    """Tasks a second, and the CPU time for each in milliseconds."""

    tasks: float
    worker_ms: float
    postgresql_ms: float


class Bench:
    """A database, and the addresses of an arm and a Reflex Layer.

    Attributes:
        done: the statement that counts what is done of `count`.
    """

    done = "SELECT count(*) FROM tasks WHERE status = 'completed' AND priority = 'critical'"

    def __init__(
        self, parts: Parts, database: Database, options: Options, *, count: int | None = None
    ) -> None:
        self._parts = parts
        self.database = database
        self._count = count or TASKS_A_SECOND * options.seconds
        self._url = parts.stand_in_url
        self._connection = psycopg.connect(database.url, autocommit=True)

    @property
    def tasks(self) -> int:
        """How many tasks are carried out in one measurement."""
        return self._count

    @property
    def arms(self) -> str:
        return f"assistant=openai+{self._url}/v1?model=m&room={ROOM}&capability=execute"

    @property
    def variables(self) -> dict[str, object]:
        """The settings of the worker."""
        return {
            "DATABASE_URL": self.database.url,
            "REFLEX_URL": self._url,
            "ARMS": self.arms,
            "PLANNING": "none",
        }

    def value(self, statement: str) -> Any:
        row = self._connection.execute(statement).fetchone()
        return row and row[0]

    def fill(
        self, count: int, priority: str, *, is_yardstick: bool = False, criteria: str = "[]"
    ) -> None:
        queue, job = ("yardstick", "yardstick") if is_yardstick else ("tasks", "begin")
        self._connection.execute(
            FILL,
            {
                "count": count,
                "priority": priority,
                "criteria": criteria,
                "rank": HEAD_STARTS[priority] - int(time.time() - ORIGIN),
                "queue": queue,
                "job": job,
            },
        )

    def empty(self) -> None:
        self._connection.execute(EMPTY)

    def tidy_up(self) -> None:
        self._connection.execute("VACUUM ANALYZE")
        self._connection.execute("CHECKPOINT")

    @contextlib.contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """Run our worker."""
        environment = {f"ORCHESTRATOR_{name}": str(one) for name, one in self.variables.items()}
        with self._process([sys.executable, "manage.py", "work"], environment) as process:
            yield process

    @contextlib.contextmanager
    def yardstick(self) -> Iterator[psutil.Process]:
        command = [sys.executable, "-m", "tests.load.yardstick", self.database.url]
        with self._process([*command, self._url, self._url], {}) as process:
            yield process

    @contextlib.contextmanager
    def _process(self, command: list[str], environment: dict[str, str]) -> Iterator[psutil.Process]:
        log = Path(tempfile.mkdtemp(dir=self._parts.folder)) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output
            )
        try:
            yield psutil.Process(process.pid)
        except TimeoutError as error:
            raise SystemExit(f"{error}\n{log.read_text()[-2000:]}") from error
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)

    def measure(self, worker: psutil.Process) -> Speed:
        """Measure a worker while it carries out what waits."""
        mains = (worker, self._parts.postgresql)

        def wait_for(share: float) -> tuple[float, int, list[float]]:
            give_up_at = time.monotonic() + GIVE_UP_SECONDS
            while (count := self.value(self.done)) < share * self._count:
                if time.monotonic() > give_up_at:
                    raise TimeoutError(f"{count} of {self._count} were carried out")
                time.sleep(PAUSE_SECONDS)
            return time.monotonic(), count, [processor_seconds(main) for main in mains]

        began_at, first, before = wait_for(MEASURED_FROM)
        ended_at, last, after = wait_for(MEASURED_TO)
        count = last - first
        worker_ms, postgresql_ms = (
            (later - earlier) / count * 1000 for earlier, later in zip(before, after, strict=True)
        )
        return Speed(count / (ended_at - began_at), worker_ms, postgresql_ms)

    def speed(
        self,
        *,
        is_yardstick: bool = False,
        criteria: str = "[]",
        beside: Callable[[], None] = lambda: None,
    ) -> Speed:
        """Return the speed of one worker on critical tasks, with others beside them."""
        self.empty()
        beside()
        self.fill(self.tasks, "critical", is_yardstick=is_yardstick, criteria=criteria)
        self.tidy_up()
        with self.yardstick() if is_yardstick else self.worker() as worker:
            return self.measure(worker)

    def latencies(self, *, beside: Callable[[], None] = lambda: None) -> list[float]:
        """Return the milliseconds from a submission to its completion, one task at a time."""
        self.empty()
        beside()
        self.tidy_up()
        folder = Path(tempfile.mkdtemp(dir=self._parts.folder))
        variables = {"DATABASE_URL": self.database.url, "REFLEX_URL": self._url, "WORKERS": 1}
        headers = {"Authorization": f"Bearer {create_key(self.database.url, 'load-test')}"}
        body = {"goal": "Analyze sentiment of user reviews", "priority": "critical"}
        times = []
        with self.worker(), Service(folder, **variables) as service:
            for number in range(SUBMISSIONS):
                began_at = time.time()
                answer = service.request("POST", "/submit", json=body, headers=headers)
                completed = self._completed_at(answer.json()["task_id"])
                # The first ones find caches and threads cold.
                if number >= SUBMISSIONS // 6:
                    times.append((completed - began_at) * 1000)
        return times

    def _completed_at(self, task_id: str) -> float:
        statement = (
            "SELECT extract(epoch FROM updated_at) FROM tasks "
            f"WHERE id = '{task_id}' AND status = 'completed'"
        )
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        while (completed := self.value(statement)) is None:
            if time.monotonic() > give_up_at:
                raise TimeoutError("a task was not carried out")
            time.sleep(PAUSE_SECONDS / 4)
        return float(completed)

    def idle_statements(self) -> float:
        """Return the transactions a second of a worker that has nothing to do."""
        statement = (
            "SELECT xact_commit + xact_rollback FROM pg_stat_database "
            "WHERE datname = current_database()"
        )
        self.empty()
        with self.worker():
            time.sleep(IDLE_SECONDS / 2)
            before = self.value(statement)
            time.sleep(IDLE_SECONDS)
            # Our own two statements are among them.
            return (float(self.value(statement)) - float(before) - 2) / IDLE_SECONDS


def measure(parts: Parts, options: Options) -> str:
    """Measure workers; return the section of the document."""
    depth = options.rows // DEPTH_SHARE
    database = parts.new_database("execution")
    with database:
        bench = Bench(parts, database, options)

        def low() -> None:
            bench.fill(depth, "low")

        def parked() -> None:
            low()
            bench._connection.execute(PARK)

        situations: dict[str, Callable[[], None]] = {
            "nothing else": lambda: None,
            f"{depth:,} low ones behind": low,
            f"{depth:,} parked ones beside": parked,
        }
        yardsticks, checked, speeds = [], [], {name: [] for name in situations}
        for turn in range(options.rounds):
            tell(f"Worker and yardstick, round {turn + 1} of {options.rounds}")
            yardsticks.append(bench.speed(is_yardstick=True))
            for name, beside in situations.items():
                speeds[name].append(bench.speed(beside=beside))
            checked.append(bench.speed(criteria=CRITERIA))
        tell("Single tasks")
        latencies = {name: bench.latencies(beside=beside) for name, beside in situations.items()}
        tell("An idle worker")
        idle = bench.idle_statements()
        version = database.server_version
    rows = [_row("yardstick", yardsticks, yardsticks)]
    rows += [_row(f"our worker, {name}", taken, yardsticks) for name, taken in speeds.items()]
    rows.append(_row("our worker, a criterion for each task", checked, yardsticks))
    latency_rows = [
        (name, median(times), f"{statistics.quantiles(times, n=20)[-1]:.1f}")
        for name, times in latencies.items()
    ]
    return (
        f"{machine(version)} One worker process with 8 threads, one step and one call for each "
        f"task. Rounds: {options.rounds}. Medians; minimum and maximum in brackets.\n\n"
        + table(
            ("worker", "tasks/s", "of the yardstick", "CPU ms, worker", "CPU ms, PostgreSQL"), rows
        )
        + "\n\nA critical task from its submission to its completion, one at a time:\n\n"
        + table(("beside it", "p50 ms", "p95 ms"), latency_rows)
        + f"\n\nA worker that has nothing to do runs {idle:.1f} transactions a second."
    )


def _row(name: str, speeds: list[Speed], yardsticks: list[Speed]) -> list[str]:
    ratios = [one.tasks / other.tasks for one, other in zip(speeds, yardsticks, strict=True)]
    return [
        name,
        spread([speed.tasks for speed in speeds], 0),
        spread(ratios, 2),
        median((speed.worker_ms for speed in speeds), 2),
        median((speed.postgresql_ms for speed in speeds), 2),
    ]
