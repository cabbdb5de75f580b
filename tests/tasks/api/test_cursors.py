"""Cursors: where the next page of a list begins, and nothing else."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.test import Client as Browser

from tasks.models import Client
from tests.factories import ClientFactory
from tests.tasks.api.lists import CURSOR_FAULT, get, ids, made, pks
from tests.tasks.clients.keys import bearer, key_of

pytestmark = pytest.mark.django_db


def cursor_of(page: Any, link: str = "next") -> str:
    [cursor] = parse_qs(urlsplit(page[link]).query)["cursor"]
    return cursor


@pytest.mark.parametrize("cursor", ["", "x", "a:b", "a:b:c", "\0", "ü", "W10:", "x" * 10_000])
def test_a_made_up_cursor_is_refused(cursor: str, client: Browser, key: str) -> None:
    response = client.get(f"/tasks?cursor={quote(cursor)}", headers=bearer(key))
    assert (response.status_code, response.json()) == (400, CURSOR_FAULT)


def test_each_changed_character_of_a_cursor_is_noticed(
    client: Browser, owner: Client, key: str
) -> None:
    made(owner, 2)
    cursor = cursor_of(get(client, key, "/tasks?limit=1"))
    for position, character in enumerate(cursor):
        changed = cursor[:position] + ("A" if character != "A" else "B") + cursor[position + 1 :]
        response = client.get("/tasks", {"cursor": changed}, headers=bearer(key))
        assert (response.status_code, response.json()) == (400, CURSOR_FAULT)


def test_a_cursor_of_another_client_is_refused(client: Browser, owner: Client, key: str) -> None:
    made(owner, 3)
    other: Client = ClientFactory()
    made(other, 3)
    cursor = cursor_of(get(client, key, "/tasks?limit=1"))
    response = client.get("/tasks", {"cursor": cursor}, headers=bearer(key_of(other)))
    assert (response.status_code, response.json()) == (400, CURSOR_FAULT)


@pytest.mark.parametrize(
    "query",
    ["", "status=failed", "status=pending&priority=high", "updated_after=2026-01-01T00:00Z"],
)
def test_a_cursor_of_another_filter_is_refused(
    query: str, client: Browser, owner: Client, key: str
) -> None:
    made(owner, 3)
    cursor = cursor_of(get(client, key, "/tasks?limit=1&status=pending"))
    response = client.get(f"/tasks?{query}&cursor={quote(cursor)}", headers=bearer(key))
    assert (response.status_code, response.json()) == (400, CURSOR_FAULT)


def test_the_same_filter_written_otherwise_keeps_its_cursor(
    client: Browser, owner: Client, key: str
) -> None:
    tasks = made(owner, 3)
    first = get(client, key, "/tasks?limit=1&status=failed&status=pending")
    url = f"/tasks?status=pending&status=failed&status=pending&cursor={quote(cursor_of(first))}"
    assert ids(get(client, key, url)) == pks(tasks[1:])


def test_a_cursor_of_another_list_is_refused(client: Browser, owner: Client, key: str) -> None:
    tasks = made(owner, 2)
    cursor = cursor_of(get(client, key, "/tasks?limit=1"))
    url = f"/tasks/{tasks[0].pk}/events?cursor={quote(cursor)}"
    assert client.get(url, headers=bearer(key)).json() == CURSOR_FAULT
