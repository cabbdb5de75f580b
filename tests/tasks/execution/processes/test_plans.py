"""A worker process that carries out plans, several steps of a task at a time."""

import threading
import time
from typing import Any

import psycopg
import pytest

from tests.arms import Behaviour, Received, ScriptedArm, by_path, plans, says_status, step, works
from tests.tasks.execution.processes.conftest import Database, StartWorker
from tests.waiting import wait_until
from tests.workers import WorkerProcess, declared, submit, until_status

# Of one task.
SIDE_BY_SIDE = 4
# Five that depend on nothing, and one that needs all of them.
PLAN = plans(*(step(number) for number in range(1, 6)), step(6, 1, 2, 3, 4, 5))
# So long it would take to begin another call.
MOMENT_SECONDS = 1.0
WAITING = """
    SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_stat_activity WHERE datname = current_database()
    )
"""


class Steps:
    """A behaviour that holds calls until they are let go on."""

    def __init__(self, then: Behaviour) -> None:
        self.begun = 0
        self._then = then
        self._lock = threading.Lock()
        self._released = threading.Event()

    def __call__(self, request: Received, connection: Any) -> bool:
        with self._lock:
            self.begun += 1
        self._released.wait(60)
        return self._then(request, connection)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def planning(start: StartWorker, arm: ScriptedArm) -> StartWorker:
    """Start workers for which the arm is two: one makes plans, and one carries them out."""

    def begin(**variables: Any) -> WorkerProcess:
        arms = [
            declared("planner", arm.url, idempotent=True, capability="plan"),
            declared("helper", arm.url, idempotent=True),
        ]
        settings = {"ARMS": ",".join(arms), "PLANNING": "all", "WORKER_CONCURRENCY": 8}
        return start(**settings | variables)

    return begin


def test_a_plan_of_six_steps_is_carried_out_four_at_a_time(
    planning: StartWorker, database: Database, arm: ScriptedArm
) -> None:
    steps = Steps(works())
    arm.behaviour = by_path(plan=PLAN, execute=steps)
    planning()
    task_id = submit(database)
    wait_until(lambda: steps.begun == SIDE_BY_SIDE, 20)
    time.sleep(MOMENT_SECONDS)
    assert steps.begun == SIDE_BY_SIDE
    steps.release()
    until_status(database, task_id, "completed")
    last = arm.work[-1].json["task_contract"]
    assert last["goal"] == "Do part 6"
    assert last["context"]["results"] == {str(number): "done" for number in range(1, 6)}
    assert len(arm.work) == len({*arm.keys}) == 1 + 6
    rows = database.execute("SELECT DISTINCT state FROM steps").fetchall()
    assert rows == [("done",)]
    assert database.execute("SELECT result_data FROM task_results").fetchall() == [("done",)]


def test_steps_that_are_parked_together_stop_the_time_of_their_run(
    planning: StartWorker, database: Database, database_url: str, arm: ScriptedArm
) -> None:
    steps = Steps(says_status("401 Unauthorized"))
    arm.behaviour = by_path(plan=PLAN, execute=steps)
    planning()
    submit(database)
    wait_until(lambda: steps.begun == SIDE_BY_SIDE, 20)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM tasks WHERE status = 'processing' FOR UPDATE")
        steps.release()
        # All of them have begun to write, and none sees what the others have written.
        wait_until(lambda: database.execute(WAITING).fetchone() == (SIDE_BY_SIDE,), 20)
    wait_until(
        lambda: (
            database.execute("SELECT count(*) FROM steps WHERE waits_for = 'arm'").fetchone()
            == (SIDE_BY_SIDE,)
        )
    )
    runs = database.execute("SELECT parked_at IS NOT NULL FROM runs WHERE ended_at IS NULL")
    assert runs.fetchall() == [(True,)]
