"""The console's list of tasks: what it shows, how it is filtered and searched, and how fast."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orchestrator_site.console.lists import paginator
from safety.models import Receipt
from tasks.models import Task
from tasks.states import Priority, Status, TaskVerdict
from tests.factories import TaskFactory, TaskResultFactory
from tests.load.databases import RESULTS
from tests.load.databases import TASKS as BELIEVABLE_TASKS
from tests.service import Service
from tests.staff import staff

pytestmark = pytest.mark.django_db

TASKS = "/admin/tasks/task/"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console(client: Client) -> Client:
    client.force_login(staff("view_task", "view_task_content", "view_receipt"))
    return client


def page(client: Client, **query: str) -> str:
    response = client.get(TASKS, query)
    assert response.status_code == 200
    return response.content.decode()


def listed(client: Client, **query: str) -> set[str]:
    """Return the ids of the tasks that the list shows."""
    return set(re.findall(rf'href="{TASKS}([0-9a-f-]{{36}})/change/', page(client, **query)))


def column(content: str, name: str) -> list[str]:
    return re.findall(rf'<t[dh] class="[^"]*field-{name}[^"]*">(.*?)</t[dh]>', content)


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", value) for value in Status]
    + [("priority", value) for value in Priority]
    + [("verdict", value) for value in TaskVerdict],
)
def test_label_has_a_sign_and_a_name_beside_its_colour(
    field: str, value: str, console: Client
) -> None:
    TaskFactory(**{field: value})
    [shown] = column(page(console), f"{field}_label")
    assert re.fullmatch(
        rf'<span class="label label-{value}"><span aria-hidden="true">\W+</span> '
        rf"{value.capitalize()}</span>",
        shown,
    )


def test_list_shows_a_short_id(console: Client) -> None:
    task = TaskFactory()
    [shown] = column(page(console), "short_id")
    assert f">{str(task.pk)[:8]}</a>" in shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        # The clock that set `created_at` is ahead.
        (timedelta(minutes=-5), "&lt; 1 min"),
        (timedelta(seconds=59), "&lt; 1 min"),
        (timedelta(minutes=3), "3 min"),
        (timedelta(minutes=61), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_list_shows_the_age_with_the_exact_time(
    ago: timedelta, shown: str, console: Client
) -> None:
    created_at = datetime.now(UTC) - ago
    TaskFactory(created_at=created_at)
    [age] = column(page(console), "age")
    assert f">{shown}</time>" in age
    assert f'title="{created_at:%Y-%m-%d %H:%M:%S} UTC"' in age


@pytest.mark.parametrize(
    ("goal", "shown"),
    [
        ("one\n\n  line\t", "one line"),
        # Right-to-left text does not reorder the text beside it.
        ("\u202egnirts", "\u202egnirts"),
        (SCRIPT, "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_goal_is_shown_on_one_line_as_text(goal: str, shown: str, console: Client) -> None:
    TaskFactory(goal=goal)
    assert column(page(console), "short_goal") == [f"<bdi>{shown}</bdi>"]


@pytest.mark.parametrize(
    ("codenames", "help_text", "finds"),
    [
        ([], "Search for an id or its first 8 characters.", {"id"}),
        (["view_receipt"], "characters, or a request id.", {"id", "request id"}),
        (["view_task_content"], "characters, or whole words of the goal.", {"id", "goal"}),
    ],
)
def test_search_reads_only_data_that_the_user_may_see(
    codenames: list[str], help_text: str, finds: set[str], client: Client
) -> None:
    client.force_login(staff("view_task", *codenames))
    task = TaskFactory(goal="zanzibar")
    Receipt.objects.create(subject_id=task.pk, verdict="unscreened", request_id="request-4711")
    terms = {"id": str(task.pk)[:8], "request id": "request-4711", "goal": "zanzibar"}
    assert {name for name, term in terms.items() if listed(client, q=term)} == finds
    assert help_text in page(client)


def test_list_hides_the_goal_without_the_permission(client: Client) -> None:
    client.force_login(staff("view_task"))
    TaskFactory(goal="zanzibar")
    assert "zanzibar" not in page(client)


QUERIES = {
    "status": {"status__exact": "failed"},
    "priority": {"priority__exact": "critical"},
    "verdict": {"verdict__exact": "flagged"},
    "day": {"from": "2025-11-15", "to": "2025-11-15"},
    "first day": {"from": "2025-11-15"},
    "arm": {"arm": "planner"},
    "result": {"result": "yes"},
    "search": {"q": "wanted"},
}


@pytest.mark.parametrize(
    "query",
    [
        *QUERIES.values(),
        {name: value for query in QUERIES.values() for name, value in query.items()},
    ],
    ids=[*QUERIES, "all"],
)
def test_filter_finds_matching_rows(query: dict[str, str], console: Client) -> None:
    wanted = TaskFactory(
        failed=True,
        goal="The wanted one",
        priority="critical",
        verdict="flagged",
        assigned_arm="planner",
        created_at=datetime(2025, 11, 15, 23, 59, 59, tzinfo=UTC),
    )
    TaskResultFactory(task=wanted)
    TaskFactory(assigned_arm="coder", created_at=datetime(2025, 11, 14, tzinfo=UTC))
    assert listed(console, **query) == {str(wanted.pk)}


def test_filter_finds_tasks_without_a_result(console: Client) -> None:
    TaskResultFactory()
    wanted = TaskFactory()
    assert listed(console, result="no") == {str(wanted.pk)}


@pytest.mark.parametrize("name", ["from", "arm"])
def test_forms_keep_the_other_filters(name: str, console: Client) -> None:
    content = page(console, status__exact="failed", arm="planner", **{"from": "2025-01-01"})
    forms = re.findall(r'<form method="get" class="form-filter">.*?</form>', content, re.S)
    [form] = [form for form in forms if f'id="filter-{name}"' in form]
    given = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', form))
    assert given == {
        "status__exact": "failed",
        "arm": "planner",
        "from": "2025-01-01",
    } | ({"to": ""} if name == "from" else {})


# PostgreSQL refuses some of these values, which would end the transaction of the test.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "query",
    [
        "waits_for=nonsense",
        "waits_for=%00",
        "failure=nonsense",
        "result=nonsense",
        "result=%00",
        "arm=%00",
        "from=yesterday",
        "to=%00",
    ],
)
def test_invalid_filter_is_ignored(query: str, console: Client) -> None:
    response = console.get(f"{TASKS}?{query}")
    assert (response.status_code, response["Location"]) == (302, f"{TASKS}?e=1")


@pytest.mark.parametrize(
    "term",
    [
        "x" * 10_000,
        "word " * 2_000,
        "'",
        '"',
        "\x00",
        "%",
        "\\",
        "- " * 100,
        "\u202eשלום",
        "' OR 1=1; --",
        "8" * 32,
        SCRIPT,
    ],
)
def test_unusual_search_never_fails(term: str, console: Client) -> None:
    TaskFactory(goal="Something else")
    content = page(console, q=term)
    assert "<script>alert" not in content


def test_search_of_blanks_shows_all(console: Client) -> None:
    task = TaskFactory()
    assert listed(console, q="  ") == {str(task.pk)}


def test_name_of_an_arm_is_escaped(console: Client) -> None:
    content = page(console, arm=f'"{SCRIPT}')
    assert "<script>alert" not in content
    assert "&quot;&lt;script&gt;alert(1)" in content


def test_list_counts_up_to_a_limit(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "COUNT_LIMIT", 3)
    TaskFactory.create_batch(5)
    content = page(console, status__exact="pending")
    assert "3+ tasks" in content


def test_longest_search_term_fits_into_a_url(console: Client, service: Service) -> None:
    (length,) = re.findall(r'id="searchbar" maxlength="(\d+)"', page(console))
    # This character has three bytes in UTF-8, and nine characters in a URL.
    term = urlencode({"q": "語" * int(length), "status__exact": "processing", "from": "2025-11-15"})
    assert service.get(f"{TASKS}?{term}").status_code == 302


@pytest.mark.parametrize("number", ["3", "999", "0", "-1"])
def test_missing_page_is_the_last_page_of_the_same_filter(
    number: str, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paginator, "COUNT_LIMIT", 101)
    Task.objects.bulk_create(Task(goal="x") for _ in range(102))
    TaskFactory(completed=True)
    last = listed(console, p="2", status__exact="pending")
    assert len(last) == 1
    assert listed(console, p=number, status__exact="pending") == last


@pytest.mark.parametrize(
    ("query", "queries"),
    [
        # Session, user, permissions (2), clients of the filter, count, the page itself, pause.
        ({}, 8),
        ({"status__exact": "pending", "from": "2025-01-01", "result": "no"}, 8),
        ({"q": "words of the goal"}, 8),
        # The term may be a request id too.
        ({"q": "12345678"}, 9),
    ],
)
def test_list_takes_few_queries(
    query: dict[str, str], queries: int, console: Client, django_assert_num_queries: Any
) -> None:
    TaskFactory.create_batch(30)
    with django_assert_num_queries(queries):
        page(console, **query)


@pytest.fixture
def many_tasks() -> None:
    """So many tasks that a sequential scan is not the best plan; none is cancelled or critical."""
    with connection.cursor() as cursor:
        cursor.execute(BELIEVABLE_TASKS.format(client="NULL::uuid"), {"count": 20_000})
        cursor.execute("DELETE FROM tasks WHERE status = 'cancelled' OR priority = 'critical'")
        cursor.execute(RESULTS)
        cursor.execute("SELECT gin_clean_pending_list('idx_tasks_goal_words')")
        cursor.execute("ANALYZE tasks, task_results")


TODAY = datetime.now(UTC).date()
DAY = {"from": f"{TODAY - timedelta(days=9)}", "to": f"{TODAY - timedelta(days=8)}"}


@pytest.mark.usefixtures("many_tasks")
def test_lists_use_an_index(console: Client) -> None:
    found = {}
    wanted = {
        "": "idx_tasks_created_at",
        urlencode({"status__exact": "cancelled"}): "idx_tasks_status_created_at",
        urlencode({"status__exact": "cancelled"} | DAY): "idx_tasks_status_created_at",
        urlencode({"verdict__exact": "flagged"}): "idx_tasks_verdict",
        urlencode({"verdict__exact": "unscreened"} | DAY): "idx_tasks_verdict",
        urlencode({"priority__exact": "critical"}): "idx_tasks_priority",
        urlencode(DAY): "idx_tasks_created_at",
        urlencode({"arm": "planner"}): "idx_tasks_arm",
        urlencode({"result": "yes"}): "idx_tasks_created_at",
        urlencode({"result": "no"}): "idx_tasks_created_at",
        urlencode({"q": "4711"}): "idx_tasks_goal_words",
        urlencode({"q": "12345678"}): "tasks_pkey",
    }
    for query in wanted:
        with CaptureQueriesContext(connection) as queries:
            assert console.get(f"{TASKS}?{query}").status_code == 200
        # The last one asks whether calls are paused.
        plan = plan_of(queries[-2]["sql"])
        assert "Seq Scan on tasks" not in plan
        found[query] = wanted[query] if wanted[query] in plan else plan
    assert found == wanted


def plan_of(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}".replace("%", "%%"), [])
        return "\n".join(row for (row,) in cursor.fetchall())


@pytest.mark.usefixtures("many_tasks")
def test_counts_and_pages_are_bounded(console: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        content = page(console)
    assert "10,000+ tasks" in content
    assert Task.objects.count() > paginator.COUNT_LIMIT
    for query in queries:
        if 'FROM "tasks"' in query["sql"]:
            assert re.search(r"LIMIT (100|10001)\b", query["sql"])


def test_searches_are_not_prepared(console: Client) -> None:
    TaskFactory()
    before = connection.connection.prepare_threshold
    # More often than the threshold from which psycopg prepares a statement.
    for _ in range(before + 1):
        page(console, q="goal")
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        assert [row for row in cursor.fetchall() if "goal_words" in row[0]] == []
    assert connection.connection.prepare_threshold == before
