"""What the dashboard says about workers, arms, and the tasks that they carry out."""

import html
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestrator_site.console.dashboard import execution
from orchestrator_site.console.dashboard.execution import dollars_today, execution_section
from tasks.execution.failures import FailureCode
from tasks.models import Budget, Call, Pause, Run, Step
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import carried_out, make_arm
from tests.orchestrator_site.console.execution.plans import waiting_for_a_decision
from tests.orchestrator_site.console.tasks.console_actions import console_of, start_worker
from tests.staff import staff
from tests.tasks.actions import failed_with, waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return console_of(
        staff("view_task", "view_arm", "view_worker", "operate_task", "manage_arms", name="ada")
    )


def page(console: Client) -> str:
    response = console.get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def words(content: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())


def test_nothing_at_all_says_what_to_do(console: Client) -> None:
    content = page(console)
    for text in (
        "No worker lives, so no task is carried out. Start one with: make work",
        "No arm is registered: tasks wait until there is one.",
        "Arms : none",
        "Workers : none alive",
        "No task waits.",
        "No run failed in the last 7 days.",
    ):
        assert text in words(content)
    assert "All is well." not in content


def test_a_worker_and_an_arm_are_well(console: Client) -> None:
    make_arm()
    make_arm("other", is_enabled=False)
    start_worker()
    start_worker(seen_at=timezone.now() - timedelta(minutes=1))
    shown = words(page(console))
    assert "All is well." in shown
    assert "Arms : 1 of 2 available" in shown
    assert "Workers : 1 alive" in shown


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"is_enabled": False}, "No arm is available, so tasks wait."),
        ({"health": "down"}, "No arm is available, so tasks wait."),
        ({"health": "misconfigured"}, "Misconfigured arms, at which somebody has to look: 1."),
    ],
)
@pytest.mark.parametrize("may_view_arms", [True, False])
def test_arms_that_get_no_calls_are_a_concern(
    may_view_arms: bool, fields: dict[str, Any], text: str
) -> None:
    make_arm(**fields)
    start_worker()
    content = page(console_of(staff("view_task", *(["view_arm"] if may_view_arms else []))))
    assert text in content
    assert (f'<a href="/admin/tasks/arm/">{text}</a>' in content) is may_view_arms


def test_pause_is_a_concern_and_every_page_says_so(console: Client) -> None:
    assert "All new calls to arms are paused" not in page(console)
    Pause.objects.begin(actor="eve", reason="<b>costs</b> explode")
    for path in ("/admin/", "/admin/tasks/task/", "/admin/tasks/arm/", "/admin/password_change/"):
        content = console.get(path).content.decode()
        assert "All new calls to arms are paused since" in content
        assert "&lt;b&gt;costs&lt;/b&gt; explode" in content
    assert "All new calls to arms are paused." in page(console)
    Pause.objects.end(actor="ada")
    assert "are paused" not in page(console)


def test_pause_is_not_told_to_strangers(client: Client) -> None:
    Pause.objects.begin(actor="eve", reason="costs explode")
    assert "costs explode" not in client.get("/admin/login/").content.decode()


def test_waiting_tasks_are_counted_by_what_they_wait_for(console: Client) -> None:
    for _ in range(2):
        waiting(waits_for="release")
    room = waiting(waits_for="room", status="processing")
    Step.objects.filter(pk=room.pk).update(parked_at=timezone.now() - timedelta(hours=3))
    waiting(wake_at=timezone.now())
    waiting()
    content = page(console)
    rows = re.findall(
        r'<th scope="row">([^<]*)</th><td class="number"><a href="([^"]*)">(\d+)</a>', content
    )
    assert [(name, count) for name, _, count in rows] == [
        ("Room at an arm", "1"),
        ("Its release", "2"),
        ("The time of its next call", "1"),
    ]
    for _, url, count in rows:
        listed = console.get(html.unescape(url)).context["cl"].result_count
        assert listed == int(count)
    assert ">3 h</time>" in content
    assert "the action Release" in content


@pytest.mark.parametrize(
    ("codenames", "url"),
    [
        (("view_task", "view_task_content", "decide_task"), "/admin/decisions"),
        (("view_task", "view_task_content"), "/admin/tasks/task/?waits_for=decision"),
        (("view_task", "decide_task"), "/admin/tasks/task/?waits_for=decision"),
    ],
    ids=["may decide", "may read", "may not read"],
)
def test_results_that_wait_for_a_decision_are_counted(codenames: tuple[str, ...], url: str) -> None:
    console = console_of(staff(*codenames))
    assert "Decisions : " not in words(page(console))
    for _ in range(2):
        waiting_for_a_decision()
    content = page(console)
    assert f'<th scope="row">A decision</th><td class="number"><a href="{url}">2</a>' in content
    assert ("Decisions : 2 wait" in words(content)) is (url == "/admin/decisions")
    assert console.get(url).status_code == 200


@pytest.mark.parametrize(
    "code",
    [FailureCode.PLAN_INVALID, FailureCode.CRITERIA_NOT_MET, FailureCode.DECISION_EXPIRED],
)
def test_failures_of_plans_and_checks_are_counted(code: FailureCode, console: Client) -> None:
    failed_with(code)
    name = code.value.replace("_", " ").capitalize()
    assert f"{name} 1 1" in words(page(console))
    assert console.get(f"/admin/tasks/task/?failure={code.value}").context["cl"].result_count == 1


def test_too_many_waiting_tasks_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "COUNT_LIMIT", 1)
    for _ in range(3):
        waiting(waits_for="arm")
    [row] = execution_section(timezone.now()).waiting
    assert (str(row.count), row.since) == ("1+", "")


def test_tasks_that_ended_in_the_last_hour_are_counted() -> None:
    now = timezone.now()
    for minutes in (1, 59, 61):
        TaskFactory(completed=True, updated_at=now - timedelta(minutes=minutes))
    TaskFactory(failed=True, updated_at=now - timedelta(minutes=2))
    TaskFactory(updated_at=now)
    assert [int(count) for _, count in execution_section(now).ended] == [2, 1]


def test_failures_are_counted_by_code(console: Client) -> None:
    for days, code in (
        (0, FailureCode.ARM_FAILED),
        (2, FailureCode.ARM_FAILED),
        (0, FailureCode.TIMED_OUT),
        (8, FailureCode.TIMED_OUT),
        (8, FailureCode.BUDGET_EXHAUSTED),
    ):
        task = failed_with(code)
        Run.objects.filter(task=task).update(
            ended_at=timezone.now() - timedelta(days=days, minutes=1)
        )
    found = execution_section(timezone.now()).failures
    assert [(row.code, row.last_day, row.last_week) for row in found] == [
        ("arm_failed", "1", "2"),
        ("timed_out", "1", "1"),
    ]
    assert "Arm failed 1 2" in words(page(console))
    assert console.get(found[0].url).context["cl"].result_count == 2


def test_dollars_of_today_are_the_sum_of_the_calls(console: Client) -> None:
    carried_out()
    yesterday = carried_out()
    Call.objects.filter(step__task=yesterday).update(started_at=timezone.now() - timedelta(days=1))
    assert "Dollars today (UTC) 0.0125" in words(page(console))


def test_dollars_of_today_are_those_of_its_budget_if_it_has_one() -> None:
    now = timezone.now()
    assert dollars_today(now, Decimal(10)) == "0.00 of at most 10.00"
    Budget.objects.create(day=now.date(), spent_usd=Decimal("2.5"), reserved_usd=Decimal("0.004"))
    assert dollars_today(now, Decimal(10)) == "2.50 of at most 10.00, 0.004 reserved"


def test_staff_without_the_permission_see_neither_dollars_nor_the_switch() -> None:
    carried_out()
    content = page(console_of(staff("view_task")))
    assert "Dollars today" not in content
    assert "/admin/pause" not in content


RUNS = """
    WITH made AS (
        INSERT INTO tasks (goal) SELECT 'x' FROM generate_series(1, 20000) RETURNING id
    ), runs AS (
        INSERT INTO runs (task_id, number, ended_at, failure_code)
        SELECT id, 1, now() - random() * interval '300 days', 'timed_out' FROM made
        RETURNING id, task_id
    )
    INSERT INTO steps (id, run_id, task_id, capability, rank, state, ended_at, waits_for, parked_at)
    SELECT gen_random_uuid(), id, task_id, 'execute', 0, state, ended_at, waits_for, parked_at
    FROM runs, (VALUES {columns}) AS columns (state, ended_at, waits_for, parked_at)
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "columns",
    [
        "('failed', now(), NULL, NULL::timestamptz)",
        "('ready', NULL::timestamptz, 'release', now())",
    ],
    ids=["few wait", "all wait for one thing"],
)
def test_figures_use_indexes(columns: str) -> None:
    """Most failures are old."""
    waiting(waits_for="room")
    with connection.cursor() as cursor:
        cursor.execute(RUNS.format(columns=columns))
        cursor.execute("ANALYZE tasks, runs, steps")
    with CaptureQueriesContext(connection) as queries:
        execution_section(timezone.now())
    statements = [query["sql"] for query in queries]
    assert len(statements) == 4
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statement}".replace("%", "%%"), [])
            plan = "\n".join(row for (row,) in cursor.fetchall())
        assert "Seq Scan" not in plan, plan
