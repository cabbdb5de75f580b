"""The list of results that wait for a decision."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestrator_site.console.decisions import waiting_list
from tasks.execution.runs.options import RunOptions
from tasks.models import Step
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.plans import undecided, waiting_for_a_decision
from tests.orchestrator_site.console.execution.test_runs import words
from tests.orchestrator_site.console.tasks.console_actions import console_of, content
from tests.orchestrator_site.console.tasks.test_task_list import plan_of
from tests.staff import staff
from tests.tasks.actions import waiting

pytestmark = pytest.mark.django_db

DECISIONS = "/admin/decisions"
SCRIPT = "<script>alert(1)</script>"
NOW = timezone.now()


@pytest.fixture
def console() -> Client:
    return console_of(staff("decide_task", "view_task_content", "view_task"))


def listed(console: Client, query: str = "") -> list[str]:
    """Return the ids of the decisions in their order."""
    return re.findall(r'href="/admin/decisions/([^"?]+)"', content(console.get(DECISIONS + query)))


def test_list_shows_since_when_until_when_and_how_much_is_undecided(
    console: Client, settings: Any
) -> None:
    settings.RUN_OPTIONS = RunOptions(decision_seconds=86_400)
    parked_at = NOW - timedelta(hours=3)
    step = waiting_for_a_decision(
        TaskFactory(processing=True, goal="Write to them", acceptance_criteria=["a", "b"]),
        parked_at=parked_at,
    )
    step.run.verdicts = [undecided(), undecided()]
    step.run.save()
    shown = words(content(console.get(DECISIONS)))
    expires = f"{parked_at + timedelta(days=1):%Y-%m-%d %H:%M}"
    assert f"{str(step.task_id)[:8]} 3 h {expires} 2 ◇ Medium Write to them" in shown


def test_oldest_come_first_and_only_what_waits_for_a_decision(console: Client) -> None:
    waiting(waits_for="release")
    steps = [waiting_for_a_decision(parked_at=NOW - timedelta(hours=hours)) for hours in (1, 3, 2)]
    assert listed(console) == [str(steps[place].pk) for place in (1, 2, 0)]


def test_empty_list_says_so(console: Client) -> None:
    assert "No result waits for a decision." in content(console.get(DECISIONS))


def test_many_are_on_several_pages(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_list, "PER_PAGE", 2)
    monkeypatch.setattr(waiting_list, "MAX_PAGES", 2)
    ids = [
        str(waiting_for_a_decision(parked_at=NOW - timedelta(hours=hours)).pk)
        for hours in (5, 4, 3, 2, 1)
    ]
    assert listed(console) == listed(console, "?p=0") == ids[:2]
    # There is no page after the last one.
    assert listed(console, "?p=1") == listed(console, "?p=99999999999999999999") == ids[2:4]
    first, last = (content(console.get(f"{DECISIONS}?p={number}")) for number in (0, 1))
    assert ("?p=1" in first, "?p=0" in last, "?p=2" in last) == (True, True, False)


@pytest.mark.parametrize("page", ["", "x", "-1", "1.5", "%00", "²", "٣"])
def test_invalid_page_is_the_first_one(page: str, console: Client) -> None:
    step = waiting_for_a_decision()
    assert listed(console, f"?p={page}") == [str(step.pk)]


def test_goal_is_escaped(console: Client) -> None:
    waiting_for_a_decision(TaskFactory(processing=True, goal=SCRIPT, acceptance_criteria=["a"]))
    assert "<script>alert" not in content(console.get(DECISIONS))


@pytest.mark.parametrize("count", [1, 20])
def test_list_takes_the_same_queries_for_many(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        waiting_for_a_decision()
    # Session, user, permissions (2), the list, and the pause.
    with django_assert_num_queries(6):
        content(console.get(DECISIONS))


STEPS = """
    WITH made AS (
        INSERT INTO tasks (goal) SELECT 'x' FROM generate_series(1, 20000) RETURNING id
    ), runs AS (
        INSERT INTO runs (task_id, number) SELECT id, 1 FROM made RETURNING id, task_id
    )
    INSERT INTO steps (id, run_id, task_id, capability, rank, role, state, ended_at, waits_for,
        parked_at)
    SELECT gen_random_uuid(), id, task_id, 'execute', 0, role, state, ended_at, waits_for,
        parked_at
    FROM runs, (VALUES {columns}) AS columns (role, state, ended_at, waits_for, parked_at)
"""


# The rows are committed and then removed by TRUNCATE, as in the tests of the filters.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "columns",
    [
        "('execute', 'failed', now(), NULL, NULL::timestamptz)",
        "('execute', 'ready', NULL::timestamptz, 'release', now())",
    ],
    ids=["few wait", "all wait for their release"],
)
def test_list_uses_an_index(columns: str, console: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(STEPS.format(columns=columns))
    for _ in range(20):
        waiting_for_a_decision()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks, runs, steps")
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(console)) == 20
    [statement] = [query["sql"] for query in queries if 'FROM "steps"' in query["sql"]]
    plan = plan_of(statement)
    assert "idx_steps_parked" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_decided_ones_leave_the_list(console: Client) -> None:
    step = waiting_for_a_decision()
    Step.objects.filter(pk=step.pk).update(
        state="cancelled", waits_for=None, parked_at=None, ended_at=NOW
    )
    assert listed(console) == []
