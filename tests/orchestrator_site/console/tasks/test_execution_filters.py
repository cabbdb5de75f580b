"""The filters of the list of tasks by what tasks wait for, and by how they failed."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks.execution.failures import FailureCode
from tasks.models import Run, Step
from tests.load.databases import TASKS as BELIEVABLE_TASKS
from tests.orchestrator_site.console.execution.plans import waiting_for_a_decision
from tests.orchestrator_site.console.tasks.console_actions import (
    TASKS,
    chosen_page,
    confirm,
    console_of,
    work,
)
from tests.orchestrator_site.console.tasks.test_task_list import listed, plan_of
from tests.staff import staff
from tests.tasks.actions import failed_with, waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_task", "operate_task", name="ada"))


@pytest.mark.parametrize("reason", ["arm", "room", "budget", "release", "resume"])
def test_filter_finds_what_tasks_wait_for(reason: str, console: Client) -> None:
    wanted = waiting(waits_for=reason, status="processing" if reason == "room" else "pending")
    waiting()
    waiting(waits_for="budget" if reason == "arm" else "arm")
    assert listed(console, waits_for=reason) == {str(wanted.task_id)}


def test_filter_finds_tasks_that_wait_for_a_decision(console: Client) -> None:
    waiting(waits_for="release")
    wanted = waiting_for_a_decision()
    assert listed(console, waits_for="decision") == {str(wanted.task_id)}


def test_filter_finds_tasks_that_wait_for_their_next_call(console: Client) -> None:
    wanted = waiting(wake_at=datetime.now(UTC))
    waiting(waits_for="arm")
    assert listed(console, waits_for="call") == {str(wanted.task_id)}


def test_filter_finds_tasks_whose_last_run_failed_so(console: Client) -> None:
    wanted = failed_with(FailureCode.TIMED_OUT)
    failed_with(FailureCode.ARM_FAILED)
    old, again, requeued = (failed_with(FailureCode.TIMED_OUT) for _ in range(3))
    week_ago = datetime.now(UTC) - timedelta(days=7, seconds=1)
    Run.objects.filter(task=old).update(ended_at=week_ago)
    Run.objects.create(
        task=again, number=2, failure_code=FailureCode.ARM_FAILED, ended_at=datetime.now(UTC)
    )
    requeued.requeue()
    assert listed(console, failure="timed_out") == {str(wanted.pk)}


def test_all_tasks_that_wait_for_release_can_be_released(console: Client) -> None:
    steps = [waiting(waits_for="release") for _ in range(3)]
    other = waiting(waits_for="arm")
    page = chosen_page(
        console, steps[0].task, verb="release", query="?waits_for=release", select_across="1"
    )
    confirm(console, page, "checked")
    work()
    assert set(Step.objects.exclude(waits_for=None)) == {other}


# Finished runs of all tasks, of which the newest tenth failed, and a few steps that wait.
RUNS = """
    WITH numbered AS (
        SELECT id, row_number() OVER (ORDER BY created_at) AS place FROM tasks
    ), runs AS (
        INSERT INTO runs (task_id, number, ended_at, failure_code)
        SELECT id, 1, now() - interval '30 days' * random(),
            CASE WHEN place % 10 = 0 THEN 'timed_out' END
        FROM numbered RETURNING id, task_id
    )
    INSERT INTO steps (id, run_id, task_id, capability, rank, state, ended_at)
    SELECT gen_random_uuid(), id, task_id, 'execute', 0, 'done', now() FROM runs
"""


@pytest.fixture
def many_runs() -> None:
    with connection.cursor() as cursor:
        cursor.execute(BELIEVABLE_TASKS.format(client="NULL::uuid"), {"count": 20_000})
        cursor.execute(RUNS.replace("%", "%%"), [])
    for _ in range(20):
        waiting(waits_for="release")
        waiting(wake_at=datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks, runs, steps")


# The rows are committed and then removed by TRUNCATE. Rolled back rows would stay as dead rows and
# change the plans of later tests.
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("many_runs")
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("waits_for=release", "idx_steps_parked"),
        ("waits_for=call", "idx_steps_wake_at"),
        ("failure=timed_out", "idx_runs_failed"),
    ],
)
def test_filters_use_an_index(query: str, index: str, console: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert console.get(f"{TASKS}?{query}").status_code == 200
    for statement in [query["sql"] for query in queries if "steps" in query["sql"]]:
        plan = plan_of(statement)
        assert "Seq Scan" not in plan, plan
        assert index in plan, plan
