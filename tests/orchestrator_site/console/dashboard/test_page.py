"""The dashboard: its figures, their permissions, their links, and their queries."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestrator_site.console.dashboard.figures import Lifetimes, Outcome, lifetimes, submissions
from orchestrator_site.console.dashboard.sections import receipt_section
from safety import models as safety_models
from safety.models import Receipt, ReceiptVerdict
from tasks.models import Task
from tasks.states import Status
from tests.factories import TaskFactory
from tests.load.databases import TASKS as BELIEVABLE_TASKS
from tests.orchestrator_site.console.execution.carried_out import make_arm
from tests.orchestrator_site.console.tasks.console_actions import start_worker

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
NOW = datetime(2025, 11, 22, 19, 30, tzinfo=UTC)
EVERYTHING = ("view_task", "view_task_content", "view_receipt", "dry_run")


def staff(client: Client, *codenames: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def page(client: Client) -> str:
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def receipt(verdict: str, created_at: datetime, **fields: Any) -> Receipt:
    reason = "no answer in time" if verdict == "none" else ""
    return Receipt.objects.create(verdict=verdict, reason=reason, created_at=created_at, **fields)


@pytest.fixture
def believable_week() -> datetime:
    """Receipts of each verdict over seven days; the time now."""
    now = timezone.now()
    for number, verdict in enumerate(["safe", "flagged", "blocked", "none", "unscreened"] * 12):
        receipt(verdict, now - timedelta(hours=number * 2), types=["Email"] if number % 2 else [])
    receipt("blocked", now - timedelta(days=30), types=["SSN"])
    # Not a submission, so neither the figures nor their lists have it.
    receipt("blocked", now, types=["Email"], occasion="answer", subject_id=uuid4())
    return now


def test_submissions_are_counted_by_hour_and_by_day() -> None:
    for verdict, ago in (
        ("safe", timedelta(minutes=1)),
        ("unscreened", timedelta(minutes=31)),
        ("blocked", timedelta(minutes=31)),
        ("none", timedelta(hours=23)),
        ("flagged", timedelta(days=6, hours=19)),
        # Before the first day.
        ("safe", timedelta(days=6, hours=20)),
    ):
        receipt(verdict, NOW - ago)
    found = submissions(NOW)
    assert [(span.since.hour, dict(span.verdicts)) for span in found.hours if span.verdicts] == [
        (20, {ReceiptVerdict.NONE: 1}),
        (18, {ReceiptVerdict.UNSCREENED: 1, ReceiptVerdict.BLOCKED: 1}),
        (19, {ReceiptVerdict.SAFE: 1}),
    ]
    assert [list(span.outcomes.values()) for span in found.days] == [
        [1, 0, 0],
        *[[0, 0, 0]] * 4,
        [0, 0, 1],
        [2, 1, 0],
    ]
    assert found.day.outcomes == {
        Outcome.ACCEPTED: 2,
        Outcome.REFUSED: 1,
        Outcome.UNDECIDED: 1,
    }
    assert found.counted_since is None


@pytest.fixture
def crew() -> None:
    """An arm and a worker, so that all is well."""
    make_arm()
    start_worker()


@pytest.mark.usefixtures("crew")
def test_answers_are_not_counted_and_the_page_says_so(client: Client) -> None:
    console = staff(client, "view_receipt")
    for verdict in ("safe", "none"):
        receipt(verdict, timezone.now(), occasion="answer", subject_id=uuid4(), types=["Passport"])
    content = page(console)
    assert "No submissions." in content
    assert "All is well." in content
    assert "Passport" not in content
    link = re.search(r'What arms answered is not counted here.*?href="([^"]+)"', content)
    assert link
    assert console.get(html.unescape(link[1])).context["cl"].result_count == 2


def test_page_says_that_the_count_is_incomplete(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety_models, "MAX_RECENT", 2)
    monkeypatch.setattr("orchestrator_site.console.dashboard.figures.MAX_RECENT", 2)
    for hours in (1, 2, 3):
        receipt("safe", timezone.now() - timedelta(hours=hours))
    assert "too many submissions to count them all" in page(staff(client, "view_receipt"))


def test_findings_are_counted_by_type_the_most_frequent_first() -> None:
    for types in (["Email", "SSN"], ["Email"], ["Phone"], []):
        receipt("blocked", NOW, types=types)
    receipt("blocked", NOW - timedelta(days=8), types=["Passport"])
    shown = receipt_section(submissions(NOW)).types
    assert [(figure.name, figure.count, figure.bar) for figure in shown] == [
        ("Email", 2, 100),
        ("Phone", 1, 50),
        ("SSN", 1, 50),
    ]


def test_lifetimes_are_read_for_each_status() -> None:
    for seconds in (5, 120, -1):
        TaskFactory(completed=True, created_at=NOW, updated_at=NOW + timedelta(seconds=seconds))
    TaskFactory(failed=True, created_at=NOW, updated_at=NOW + timedelta(hours=3))
    assert lifetimes(Status.COMPLETED) == Lifetimes((0, 5, 120))
    assert lifetimes(Status.FAILED).bins["1 to 6 h"] == 1


def test_quantile_is_not_exceeded_by_its_share_of_tasks() -> None:
    sample = Lifetimes(tuple(map(float, range(1, 11))))
    assert (sample.quantile(0.5), sample.quantile(0.9)) == (5, 9)
    assert Lifetimes(()).quantile(0.5) is None


def test_longest_pending_come_first(client: Client) -> None:
    tasks = [TaskFactory(created_at=NOW + timedelta(hours=hours)) for hours in range(12)]
    TaskFactory(processing=True, created_at=NOW - timedelta(days=1))
    block = page(staff(client, "view_task")).partition('id="pending"')[2]
    assert re.findall(r"/admin/tasks/task/([0-9a-f-]{36})/", block) == [
        str(task.pk) for task in tasks[:10]
    ]


def test_page_of_an_empty_database(client: Client) -> None:
    content = page(staff(client, *EVERYTHING))
    for text in (
        "No tasks yet.",
        "make demo",
        "No submissions.",
        "No findings.",
        "is pending.",
    ):
        assert text in content
    assert "nan" not in content.lower().replace("finan", "")


@pytest.mark.parametrize(
    ("codenames", "shown"),
    [
        ((), {"state"}),
        (("view_task",), {"statuses", "lifetimes", "pending", "state"}),
        (("view_receipt",), {"submissions", "verdicts", "findings", "state"}),
        (
            EVERYTHING,
            set("statuses lifetimes pending submissions verdicts findings state".split()),
        ),
    ],
)
def test_staff_see_the_sections_of_their_permissions(
    codenames: tuple[str, ...], shown: set[str], client: Client
) -> None:
    with CaptureQueriesContext(connection) as queries:
        content = page(staff(client, *codenames))
    ids = set("statuses lifetimes pending submissions verdicts findings state".split())
    assert {name for name in ids if f'id="{name}"' in content} == shown
    read = {
        table
        for table in ("tasks", "receipts")
        if re.search(rf'FROM "?{table}"?\b', str(queries.captured_queries))
    }
    # All staff see whether submissions get their verdicts.
    assert read == {"receipts"} | ({"tasks"} if "view_task" in codenames else set())
    # Findings are only counted by type for staff who may see receipts.
    of_receipts = sum("FROM receipts" in query["sql"] for query in queries)
    assert of_receipts == (2 if "view_receipt" in codenames else 1)
    assert ("You may see neither" in content) == (not codenames)


@pytest.mark.parametrize("may_see_goals", [True, False])
def test_goals_are_only_read_for_staff_who_may_see_them(
    may_see_goals: bool, client: Client
) -> None:
    TaskFactory(goal="the goal of it")
    codenames = ["view_task", *(["view_task_content"] if may_see_goals else [])]
    with CaptureQueriesContext(connection) as queries:
        content = page(staff(client, *codenames))
    assert ("the goal of it" in content) == may_see_goals
    assert ('"tasks"."goal"' in str(queries.captured_queries)) == may_see_goals


def test_text_of_clients_is_escaped(client: Client) -> None:
    TaskFactory(goal=SCRIPT)
    receipt("blocked", timezone.now(), types=[SCRIPT])
    content = page(staff(client, *EVERYTHING))
    assert "<script>alert" not in content
    assert content.count(html.escape(SCRIPT)) == 2


def test_figures_link_to_lists_with_the_same_count(
    client: Client, believable_week: datetime
) -> None:
    for status in Status:
        TaskFactory.create_batch(2, status=status)
    content = page(staff(client, *EVERYTHING))
    figures = re.findall(r'<a href="([^"]+\?[^"]+)">(\d+)</a>', content)
    figures += re.findall(r'href="([^"]+)"><strong>(\d+)</strong>', content)
    assert len(figures) > 100
    for url, count in set(figures):
        rows = client.get(html.unescape(url))
        assert rows.status_code == 200
        assert (url, rows.context["cl"].result_count) == (url, int(count))


@pytest.mark.usefixtures("believable_week")
def test_columns_link_to_lists_with_the_same_count(client: Client) -> None:
    content = page(staff(client, *EVERYTHING))
    columns = re.findall(
        r'<a href="([^"]+)" tabindex="-1">\s*'
        r"<title>.*?accepted (\d+), refused (\d+), no verdict (\d+)</title>",
        content,
    )
    assert len(columns) == 24 + 7
    for url, *counts in columns:
        rows = client.get(html.unescape(url)).context["cl"].result_count
        assert rows == sum(map(int, counts))


@pytest.mark.usefixtures("believable_week")
def test_charts_are_well_formed_and_agree_with_the_tables(client: Client) -> None:
    content = page(staff(client, *EVERYTHING))
    charts = re.findall(r'<svg role="group".*?</svg>', content, re.S)
    tables = re.findall(r"<details>.*?(<tbody>.*?</tbody>)", content, re.S)
    assert (len(charts), len(tables)) == (2, 2)
    for chart, table in zip(charts, tables, strict=True):
        drawn = ElementTree.fromstring(chart)  # noqa: S314 - our own page
        assert drawn.find("title") is not None
        assert drawn.find("desc") is not None
        said = [
            "{}: accepted {}, refused {}, no verdict {}".format(
                *("".join(cell.itertext()) for cell in row)
            )
            for row in ElementTree.fromstring(table)  # noqa: S314
        ]
        assert [column.findtext("title") for column in drawn.findall("a")] == said
        for column, sentence in zip(drawn.findall("a"), said, strict=True):
            # One rectangle reacts to the pointer; the others are one for each outcome that occurs.
            shapes = len(column.findall("rect")) - 1
            assert shapes == sum(int(n) > 0 for n in re.findall(r" (\d+)(?:,|$)", sentence))


def test_page_has_no_inline_style_or_script(client: Client) -> None:
    TaskFactory()
    content = page(staff(client, *EVERYTHING))
    assert not re.search(r"\sstyle=|<style|<script(?![^>]*\bsrc=)|\son\w+=", content)


def test_estimates_are_marked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tasks.models.task.TaskQuerySet.count_by_status", lambda _: {Status.PENDING: 843_012}
    )
    assert "<strong>about 843,000</strong>" in page(staff(client, "view_task"))


def test_page_takes_few_queries(client: Client, django_assert_num_queries: Any) -> None:
    TaskFactory.create_batch(12)
    console = staff(client, *EVERYTHING)
    # Session, user, permissions (2); the database (3); each status (5), lifetimes (2), pending
    # tasks; receipts by hour and by type; arms, workers and the pause; what tasks wait for, those
    # that ended (2), and failures.
    with django_assert_num_queries(24):
        page(console)


@pytest.fixture
def used_tables() -> None:
    """Tables as rolled back tests and autovacuum may leave them.

    The pages of `tasks` have free space in many places, so new rows are stored in random order,
    and so are receipts that are made from them. The indexes of `receipts` have grown.
    """
    with connection.cursor() as cursor:
        cursor.execute(BELIEVABLE_TASKS.format(client="NULL::uuid"), {"count": 20_000})
        cursor.execute("DELETE FROM tasks WHERE get_byte(uuid_send(id), 0) %% 4 > 0", [])
        cursor.execute("VACUUM tasks")
        cursor.execute("DELETE FROM tasks")
        cursor.execute(
            "INSERT INTO receipts (verdict, created_at) SELECT 'safe', now() "
            "FROM generate_series(1, 60000)"
        )
        cursor.execute("DELETE FROM receipts")
        cursor.execute("VACUUM receipts")


@pytest.fixture
def backlog(used_tables: None) -> None:
    """Many tasks, of which the newer half is pending, each with a receipt."""
    with connection.cursor() as cursor:
        cursor.execute(BELIEVABLE_TASKS.format(client="NULL::uuid"), {"count": 20_000})
        cursor.execute(
            "UPDATE tasks SET status = CASE WHEN created_at > now() - interval '15 days' "
            "THEN 'pending' ELSE 'completed' END"
        )
        cursor.execute(
            "INSERT INTO receipts (subject_id, verdict, types, created_at) SELECT id, 'flagged', "
            "CASE WHEN get_byte(uuid_send(id), 0) < 8 THEN '[\"Email\"]' ELSE '[]' END::jsonb, "
            "created_at FROM tasks"
        )
        # Store the rows as in a fresh table. The cost of an index scan, and so the plans, must not
        # depend on other tests or on autovacuum.
        cursor.execute("CLUSTER tasks USING idx_tasks_created_at")
        cursor.execute("CLUSTER receipts USING idx_receipts_created_at")
        cursor.execute("ANALYZE tasks, receipts")


# The rows are committed and then removed by TRUNCATE. Rolled back rows would stay as dead rows and
# change the plans of later tests.
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("backlog")
def test_figures_use_an_index(client: Client) -> None:
    console = staff(client, *EVERYTHING)
    with CaptureQueriesContext(connection) as queries:
        page(console)
    plans = [
        plan_of(query["sql"])
        for query in queries
        if re.search(r"FROM \"?(tasks|receipts)\"?\b", query["sql"])
    ]
    assert [plan for plan in plans if "Seq Scan" in plan] == []
    for index, times in (
        ("idx_tasks_status_created_at", 3),
        ("idx_receipts_created_at", 1),
        ("idx_receipts_found", 1),
    ):
        assert sum(bool(re.search(rf"\b{index}\b", plan)) for plan in plans) >= times
    assert Task.objects.count() == 20_000


def plan_of(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}".replace("%", "%%"), [])
        return "\n".join(row for (row,) in cursor.fetchall())
