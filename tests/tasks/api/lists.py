"""Lists of tasks and events, as a client requests them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client as Browser

from tasks.models import Client, Task
from tests.factories import TaskFactory
from tests.tasks.clients.keys import bearer

START = datetime(2026, 11, 1, 12, 0, 0, 250, tzinfo=UTC)
CURSOR_FAULT = {
    "cursor": [
        "This is no cursor of this list with these filters. Follow `next` and `previous` as they "
        "are, or begin without a cursor."
    ]
}


def made(owner: Client, count: int, **fields: Any) -> list[Task]:
    """Make tasks a minute apart; return them newest first."""
    tasks = [
        TaskFactory(
            client=owner,
            created_at=START + timedelta(minutes=number),
            updated_at=START + timedelta(minutes=number),
            **fields,
        )
        for number in range(count)
    ]
    return tasks[::-1]


def get(browser: Browser, key: str, url: str = "/tasks") -> Any:
    response = browser.get(url, headers=bearer(key))
    return response.json() if response.status_code == 200 else response


def ids(page: Any) -> list[str]:
    return [task["task_id"] for task in page["results"]]


def follow(browser: Browser, key: str, url: str | None, link: str = "next") -> Iterator[Any]:
    while url is not None:
        page = get(browser, key, url)
        yield page
        url = page[link]


def pks(tasks: list[Task]) -> list[str]:
    return [str(task.pk) for task in tasks]
