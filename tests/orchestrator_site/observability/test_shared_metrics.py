"""The metrics that come from PostgreSQL, read in this process."""

import logging
import time
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from orchestrator_site.observability.shared_metrics import COUNT_SECONDS, SharedMetrics
from tasks.execution.outcomes import LOST_WORK
from tasks.models import Arm, Count, Task, Worker
from tests.factories import TaskFactory
from tests.tasks.lives import processing, run_of, step_of

pytestmark = pytest.mark.django_db

PREFIX = "octollm_orchestrator_"
STATUSES = "pending processing completed failed cancelled".split()
OUTCOMES = "succeeded failed refused misconfigured not_sent unknown".split()
BOUNDS = (
    "0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 60.0 120.0 300.0 600.0 1800.0 3600.0 21600.0 86400.0 +Inf"
).split()
AT_FIRST = {
    *(f'tasks_total{{status="{status}"}}' for status in STATUSES),
    *(f'tasks_by_status{{status="{status}"}}' for status in STATUSES),
    *(
        f'attempts_total{{outcome="{outcome}"}}'
        for outcome in "done failed retried parked lost cancelled".split()
    ),
    "leases_lost_total",
    *(f'reconciled_total{{found="{found}"}}' for found in LOST_WORK),
    *(f'task_duration_seconds_bucket{{le="{bound}"}}' for bound in BOUNDS),
    "task_duration_seconds_count",
    "task_duration_seconds_sum",
    *(
        f'oldest_pending_seconds{{priority="{priority}"}}'
        for priority in "low medium high critical".split()
    ),
    *(
        f'parked_steps{{waits_for="{reason}"}}'
        for reason in "arm room budget release resume decision".split()
    ),
    "workers",
}
OF_AN_ARM = {
    *(f'arm_calls_total{{arm="helper",outcome="{outcome}"}}' for outcome in OUTCOMES),
    'tokens_total{arm="helper"}',
    'cost_usd_total{arm="helper"}',
}


def page() -> str:
    registry = CollectorRegistry()
    registry.register(SharedMetrics())
    return generate_latest(registry).decode()


def scrape() -> dict[str, float]:
    """Return the value of each series, by name without prefix, and labels."""
    lines = [line for line in page().splitlines() if not line.startswith("#")]
    assert all(line.startswith(PREFIX) for line in lines)
    series = (line.removeprefix(PREFIX).rsplit(" ", 1) for line in lines)
    return {name: float(value) for name, value in series}


def arm(name: str = "helper") -> Arm:
    return Arm.objects.create(
        name=name, protocol="octollm", url="http://arm", capabilities=["execute"]
    )


def count(name: str, labels: list[str], value: str, *, shard: int = 0) -> None:
    Count.objects.create(name=name, labels=labels, shard=shard, value=Decimal(value))


# The first scrape


def test_known_series_are_0_from_the_first_scrape() -> None:
    assert scrape() == dict.fromkeys(AT_FIRST, 0)


def test_series_of_an_arm_are_0_as_soon_as_it_is_registered() -> None:
    arm()
    assert scrape() == dict.fromkeys(AT_FIRST | OF_AN_ARM, 0)


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        *((f"{name}_total", "counter") for name in "tasks attempts arm_calls tokens".split()),
        *((f"{name}_total", "counter") for name in "cost_usd leases_lost reconciled".split()),
        ("task_duration_seconds", "histogram"),
        ("tasks_by_status", "gauge"),
        ("oldest_pending_seconds", "gauge"),
        ("parked_steps", "gauge"),
        ("workers", "gauge"),
    ],
)
def test_a_family_has_its_type(family: str, kind: str) -> None:
    assert f"# TYPE {PREFIX}{family} {kind}\n" in page()


# Counters


@pytest.mark.parametrize(
    ("name", "labels", "series"),
    [
        ("tasks", ["failed"], 'tasks_total{status="failed"}'),
        ("attempts", ["parked"], 'attempts_total{outcome="parked"}'),
        ("leases_lost", [], "leases_lost_total"),
        ("reconciled", ["dead_bell"], 'reconciled_total{found="dead_bell"}'),
        (
            "arm_calls",
            ["helper", "not_sent"],
            'arm_calls_total{arm="helper",outcome="not_sent"}',
        ),
        ("tokens", ["helper"], 'tokens_total{arm="helper"}'),
        ("cost_usd", ["helper"], 'cost_usd_total{arm="helper"}'),
    ],
)
def test_the_parts_of_a_counter_add_up(name: str, labels: list[str], series: str) -> None:
    arm()
    count(name, labels, "1.25", shard=0)
    count(name, labels, "2.00000002", shard=31)
    assert scrape() == dict.fromkeys(AT_FIRST | OF_AN_ARM, 0) | {series: 3.25000002}


def test_a_status_that_a_task_enters_is_counted() -> None:
    task = TaskFactory()
    task.cancel()
    counted = scrape()
    assert counted['tasks_total{status="cancelled"}'] == 1
    assert counted['tasks_by_status{status="cancelled"}'] == 1


# The time of tasks


def test_the_histogram_of_durations_is_cumulative() -> None:
    for labels, value in (("0.25", "2"), ("5", "3"), ("86400", "1"), ("+Inf", "4")):
        count("task_duration_seconds", [labels], value)
    count("task_duration_seconds", ["5"], "1", shard=3)
    count("task_duration_seconds", ["sum"], "86400.5")
    counted = scrape()
    buckets = [counted[f'task_duration_seconds_bucket{{le="{bound}"}}'] for bound in BOUNDS]
    assert buckets == [0, 2, 2, 2, 2, *[6] * 10, 7, 11]
    assert counted["task_duration_seconds_count"] == 11
    assert counted["task_duration_seconds_sum"] == 86_400.5


# The state


def test_tasks_are_counted_by_status() -> None:
    TaskFactory.create_batch(2)
    TaskFactory(failed=True)
    counted = scrape()
    assert {status: counted[f'tasks_by_status{{status="{status}"}}'] for status in STATUSES} == {
        "pending": 2,
        "processing": 0,
        "completed": 0,
        "failed": 1,
        "cancelled": 0,
    }


def test_the_age_of_the_oldest_pending_task_is_shown_by_priority() -> None:
    now = timezone.now()
    for priority, minutes in (("low", 5), ("low", 60), ("critical", 1)):
        TaskFactory(priority=priority, created_at=now - timedelta(minutes=minutes))
    TaskFactory(failed=True, priority="high", created_at=now - timedelta(days=9))
    counted = scrape()
    ages = {
        priority: counted[f'oldest_pending_seconds{{priority="{priority}"}}']
        for priority in ("low", "medium", "high", "critical")
    }
    assert ages == {
        "low": pytest.approx(3_600, abs=30),
        "medium": 0,
        "high": 0,
        "critical": pytest.approx(60, abs=30),
    }


def test_parked_steps_are_counted_by_their_reason() -> None:
    for reason in ("room", "room", "release"):
        step_of(run_of(TaskFactory()), waits_for=reason)
    # A result that waits for staff.
    step_of(run_of(TaskFactory()), number=2, role="decide", waits_for="decision")
    step_of(run_of(TaskFactory()))
    processing(TaskFactory())
    counted = scrape()
    parked = {name: value for name, value in counted.items() if name.startswith("parked") and value}
    assert parked == {
        'parked_steps{waits_for="room"}': 2,
        'parked_steps{waits_for="release"}': 1,
        'parked_steps{waits_for="decision"}': 1,
    }


def test_only_workers_that_live_are_counted() -> None:
    now = timezone.now()
    for fields in ({}, {"seen_at": now - timedelta(seconds=15)}):
        Worker.objects.create(machine="host", process=1, version="1", concurrency=8, **fields)
    for fields in ({"ended_at": now}, {"seen_at": now - timedelta(seconds=25)}):
        Worker.objects.create(machine="host", process=1, version="1", concurrency=8, **fields)
    assert scrape()["workers"] == 2


# Without the database


@pytest.mark.django_db(transaction=True)
def test_a_scrape_waits_for_the_database_once_and_leaves_out_what_it_lacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    TaskFactory()
    parameters = connection.get_connection_params()
    options = {name: parameters[name] for name in ("host", "dbname", "user") if name in parameters}
    with psycopg.connect(**options) as blocker, caplog.at_level(logging.WARNING):
        blocker.execute("LOCK TABLE counts, tasks, steps, workers")
        started = time.monotonic()
        assert scrape() == {}
        assert time.monotonic() - started < 2 * COUNT_SECONDS
        blocker.rollback()
    # As at the end of a request.
    connection.close()
    assert [record.message for record in caplog.records] == ["Metrics not read from the database"]
    assert scrape()['tasks_by_status{status="pending"}'] == Task.objects.count() == 1
