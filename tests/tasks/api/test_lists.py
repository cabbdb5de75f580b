"""`GET /tasks`: pages and filters."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from tasks.models import Client, Task
from tasks.states import Priority, Status
from tests.factories import ClientFactory, TaskFactory
from tests.tasks.api.lists import START, follow, get, ids, made, pks
from tests.tasks.clients.keys import bearer

pytestmark = pytest.mark.django_db


# A page


def test_a_list_is_answered_as_designed(client: Browser, owner: Client, key: str) -> None:
    task = TaskFactory(
        client=owner,
        goal="Plan",
        task_metadata={"a": 1},
        created_at=START,
        updated_at=START + timedelta(seconds=1),
        status="failed",
    )
    assert get(client, key) == {
        "next": None,
        "previous": None,
        "results": [
            {
                "task_id": str(task.pk),
                "goal": "Plan",
                "status": "failed",
                "priority": "medium",
                "created_at": "2026-11-01T12:00:00.000250Z",
                "updated_at": "2026-11-01T12:00:01.000250Z",
                "metadata": {"a": 1},
                # It failed before there were runs.
                "failure": None,
                "usage": {"tokens": 0, "cost_usd": 0.0, "seconds": 0.0, "estimated": False},
                "progress": None,
            }
        ],
    }


def test_a_client_without_tasks_has_an_empty_list(client: Browser, key: str) -> None:
    assert get(client, key) == {"next": None, "previous": None, "results": []}


def test_a_list_holds_only_tasks_of_its_client(client: Browser, owner: Client, key: str) -> None:
    [own] = made(owner, 1)
    TaskFactory()
    TaskFactory(client=ClientFactory())
    assert ids(get(client, key)) == [str(own.pk)]


def test_a_page_has_50_tasks_unless_another_limit_is_given(
    client: Browser, owner: Client, key: str
) -> None:
    tasks = made(owner, 51)
    assert ids(get(client, key)) == pks(tasks[:50])
    assert ids(get(client, key, "/tasks?limit=3")) == pks(tasks[:3])
    assert ids(get(client, key, "/tasks?limit=200")) == pks(tasks)


def test_tasks_of_the_same_moment_are_on_one_page_each(
    client: Browser, owner: Client, key: str
) -> None:
    for _ in range(7):
        TaskFactory(client=owner, created_at=START)
    pages = [ids(page) for page in follow(client, key, "/tasks?limit=2")]
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert len({task_id for page in pages for task_id in page}) == 7


def test_pages_lead_to_the_end_and_back(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 7)
    there = list(follow(client, key, "/tasks?limit=3"))
    assert [ids(page) for page in there] == [pks(tasks[:3]), pks(tasks[3:6]), pks(tasks[6:])]
    back = list(follow(client, key, there[-1]["previous"], "previous"))
    assert [ids(page) for page in back] == [pks(tasks[3:6]), pks(tasks[:3])]
    assert back[-1]["next"] is not None
    assert ids(get(client, key, back[-1]["next"])) == pks(tasks[3:6])


def test_links_are_whole_urls_with_all_filters(client: Browser, owner: Client, key: str) -> None:
    made(owner, 3, priority="high")
    url = (
        "/tasks?limit=1&status=pending&status=failed&priority=high"
        "&created_after=2026-11-01T13:00:00%2B02:00"
    )
    link = urlsplit(get(client, key, url)["next"])
    assert (link.scheme, link.netloc, link.path) == ("http", "testserver", "/tasks")
    query = parse_qs(link.query)
    assert query.pop("cursor")
    assert query == {
        "limit": ["1"],
        "status": ["pending", "failed"],
        "priority": ["high"],
        "created_after": ["2026-11-01T11:00:00Z"],
    }


def test_tasks_that_come_in_meanwhile_neither_shift_nor_repeat_any(
    client: Browser, owner: Client, key: str
) -> None:
    tasks = made(owner, 6)
    first = get(client, key, "/tasks?limit=2")
    TaskFactory(client=owner, created_at=START + timedelta(days=1))
    rest = [task_id for page in follow(client, key, first["next"]) for task_id in ids(page)]
    assert [*ids(first), *rest] == pks(tasks)


def test_a_limit_may_change_between_pages(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 6)
    following = get(client, key, "/tasks?limit=1")["next"].replace("limit=1", "limit=4")
    assert ids(get(client, key, following)) == pks(tasks[1:5])


# Filters


@pytest.fixture
def one_of_each(owner: Client) -> dict[tuple[str, str], str]:
    """A task of each status and priority, with their ids."""
    return {
        (status, priority): str(TaskFactory(client=owner, status=status, priority=priority).pk)
        for status in Status.values
        for priority in Priority.values
    }


@pytest.mark.parametrize(
    ("statuses", "priorities"),
    [
        (["failed"], []),
        (["failed", "pending"], []),
        ([], ["critical"]),
        ([], ["critical", "low"]),
        (["completed", "cancelled"], ["medium", "high"]),
        (Status.values, Priority.values),
    ],
)
def test_statuses_and_priorities_combine(
    statuses: list[str],
    priorities: list[str],
    client: Browser,
    key: str,
    one_of_each: dict[tuple[str, str], str],
) -> None:
    query = [f"status={status}" for status in statuses]
    query += [f"priority={priority}" for priority in priorities]
    url = f"/tasks?limit=3&{'&'.join(query)}"
    found = [task_id for page in follow(client, key, url) for task_id in ids(page)]
    assert sorted(found) == sorted(
        task_id
        for (status, priority), task_id in one_of_each.items()
        if status in (statuses or Status.values) and priority in (priorities or Priority.values)
    )


def test_a_filtered_list_is_in_the_order_of_time(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 6)
    for number, task in enumerate(tasks):
        Task.objects.filter(pk=task.pk).update(
            status=Status.values[number % 2], priority=Priority.values[number % 3]
        )
    url = "/tasks?status=pending&status=processing&limit=2"
    assert [ids(page) for page in follow(client, key, url)] == [
        pks(tasks[:2]),
        pks(tasks[2:4]),
        pks(tasks[4:]),
    ]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        # Exclusive, to the microsecond.
        ("created_after=2026-11-01T12:01:00.000250Z", slice(0, 2)),
        ("created_after=2026-11-01T12:01:00.000249Z", slice(0, 3)),
        ("created_before=2026-11-01T12:01:00.000250Z", slice(3, 4)),
        ("created_before=2026-11-01T12:01:00.000251Z", slice(2, 4)),
        ("created_after=2026-11-01T12:00:30Z&created_before=2026-11-01T12:02:30Z", slice(1, 3)),
        # With another zone.
        ("created_after=2026-11-01T14:01:30%2B02:00", slice(0, 2)),
        ("created_after=2026-11-01t12:01:30z", slice(0, 2)),
        ("created_after=9999-12-31T23:59:59Z", slice(0, 0)),
        ("created_before=0001-01-01T00:00:00Z", slice(0, 0)),
    ],
)
def test_times_of_creation_bound_a_list(
    query: str, chosen: slice, client: Browser, owner: Client, key: str
) -> None:
    tasks = made(owner, 4)
    assert ids(get(client, key, f"/tasks?{query}")) == pks(tasks[chosen])


def test_changed_tasks_are_found(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 4)
    now = datetime.now(UTC) - timedelta(seconds=1)
    tasks[2].cancel()
    url = f"/tasks?updated_after={now.isoformat().replace('+00:00', 'Z')}"
    assert ids(get(client, key, url)) == [str(tasks[2].pk)]


def test_a_list_shows_the_status_of_the_moment(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 4)
    first = get(client, key, "/tasks?status=pending&limit=2")
    tasks[2].cancel()
    assert ids(get(client, key, first["next"])) == [str(tasks[3].pk)]


# Bad parameters


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e9", "limit"),
        ("limit=1000000000000", "limit"),
        ("limit=5.0", "limit"),
        ("limit=", "limit"),
        ("limit=%20" + "5", "limit"),
        # Digits of another script.
        ("limit=%D9%A3", "limit"),
        ("limit=5&limit=6", "limit"),
        ("status=done", "status"),
        ("status=Pending", "status"),
        ("status=", "status"),
        ("status=pending,failed", "status"),
        ("status=pending&status=%00", "status"),
        ("priority=urgent", "priority"),
        *(
            (f"{name}={value}", name)
            for name in ("created_after", "created_before", "updated_after")
            for value in (
                "",
                "yesterday",
                "2026-11-28",
                "2026-11-28T12:00:00",
                # A + that was not escaped.
                "2026-11-28T12:00:00+00:00",
                "2026-11-28 12:00:00Z",
                "2026-13-01T00:00:00Z",
                "2026-02-30T00:00:00Z",
                "2026-11-28T25:00:00Z",
                "2026-11-28T12:00:60Z",
                "20261128T120000Z",
                "2026-W48-6T12:00:00Z",
                "1764331200",
                "0001-01-01T00:00:00%2B23:59",
                "9999-12-31T23:59:59-23:59",
                "10000-01-01T00:00:00Z",
                "2026-11-28T12:00:00.1234567Z",
                "2026-11-28T12:00:00Z%00",
                "%D9%A22026-11-28T12:00:00Z",
                "2026-11-28T12:00:00Z';--",
            )
        ),
        ("created_after=2026-11-28T12:00:00Z&created_after=2026-11-28T12:00:00Z", "created_after"),
        ("statuses=pending", "statuses"),
        ("offset=5", "offset"),
        ("api_key=x", "api_key"),
        ("%00=x", "?"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    query: str, fault: str, client: Browser, key: str
) -> None:
    response = client.get(f"/tasks?{query}", headers=bearer(key))
    assert (response.status_code, list(response.json())) == (400, [fault])
