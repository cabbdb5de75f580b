"""What a plan costs beyond its calls: processor time for each step, and time between two steps."""

import statistics
import time
import uuid
from typing import Final

from tests.load.execution import GIVE_UP_SECONDS, PAUSE_SECONDS, Bench, Speed
from tests.load.options import Options
from tests.load.parts import Parts
from tests.load.progress import tell
from tests.load.reflex_stand_in import PLAN_STEPS
from tests.load.tables import machine, median, spread, table

# In one measurement of `--seconds`.
PLANS_A_SECOND: Final = 6
PLANS_ONE_AT_A_TIME: Final = 12
# The first one finds caches and threads cold.
COLD: Final = 2
# The plan and its steps.
CALLS: Final = PLAN_STEPS + 1
SUBMIT: Final = """
WITH made AS (INSERT INTO tasks (id, goal) VALUES (%(id)s, 'Compare three products') RETURNING id)
INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args)
SELECT 'tasks', 'begin', id::text, jsonb_build_object('task', id) FROM made
"""
# From the end of the last step that a step depends on to its own claim.
DELAYS: Final = """
SELECT 1000 * extract(epoch FROM attempts.started_at - max(before.ended_at))
FROM steps
JOIN attempts ON attempts.step_id = steps.id
JOIN steps AS before ON before.run_id = steps.run_id AND before.number = ANY(steps.depends_on)
WHERE steps.role = 'execute' AND attempts.number = 1
GROUP BY steps.id, attempts.started_at
"""


class Plans(Bench):
    """A bench whose worker plans every task; it counts calls."""

    done = "SELECT count(*) FROM calls WHERE outcome = 'succeeded'"

    @property
    def tasks(self) -> int:
        return self._count // CALLS

    @property
    def arms(self) -> str:
        return f"{super().arms},planner=octollm+{self._url}?capability=plan&idempotent=true"

    @property
    def variables(self) -> dict[str, object]:
        return super().variables | {"PLANNING": "all"}

    def delays(self) -> list[float]:
        """Return the milliseconds between a step and the next, one task at a time."""
        self.empty()
        self.tidy_up()
        with self.worker():
            for number in range(PLANS_ONE_AT_A_TIME + COLD):
                if number == COLD:
                    self.empty()
                self._carry_out_one()
        return [float(delay) for (delay,) in self._connection.execute(DELAYS)]

    def _carry_out_one(self) -> None:
        task_id = uuid.uuid4()
        self._connection.execute(SUBMIT, {"id": task_id})
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        statement = f"SELECT status FROM tasks WHERE id = '{task_id}'"
        while (status := self.value(statement)) != "completed":
            if status == "failed" or time.monotonic() > give_up_at:
                raise TimeoutError(f"a planned task is {status}")
            time.sleep(PAUSE_SECONDS)


def measure(parts: Parts, options: Options) -> str:
    """Measure plans beside single steps; return the section of the document."""
    database = parts.new_database("plans")
    with database:
        single = Bench(parts, database, options)
        plans = Plans(parts, database, options, count=CALLS * PLANS_A_SECOND * options.seconds)
        of_single, of_plans, delays = [], [], []
        for turn in range(options.rounds):
            tell(f"Plans and single steps, round {turn + 1} of {options.rounds}")
            of_single.append(single.speed())
            of_plans.append(plans.speed())
            delays += plans.delays()
        version = database.server_version
    rows = [_row("one step, one call", of_single), _row("a plan of 20 steps", of_plans)]
    quantiles = statistics.quantiles(delays, n=20)
    return (
        f"{machine(version)} One worker process with 8 threads. The plan has {PLAN_STEPS} steps in "
        "four lines side by side; it is made by an arm, and each of its steps is one call. Rounds: "
        f"{options.rounds}. Medians; minimum and maximum in brackets.\n\n"
        + table(("task", "calls/s", "CPU ms a call, worker", "CPU ms a call, PostgreSQL"), rows)
        + f"\n\nFrom the end of a step to the claim of the next one, one task at a time: "
        f"{statistics.median(delays):.1f} ms at the median, {quantiles[-1]:.1f} ms at p95 "
        f"({len(delays)} steps)."
    )


def _row(name: str, speeds: list[Speed]) -> list[str]:
    return [
        name,
        spread([speed.tasks for speed in speeds], 0),
        median((speed.worker_ms for speed in speeds), 2),
        median((speed.postgresql_ms for speed in speeds), 2),
    ]
