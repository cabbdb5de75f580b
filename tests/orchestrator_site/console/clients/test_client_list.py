"""The console's list of clients: what it counts and shows."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from safety.models import Receipt
from tasks.clients.scopes import Scope
from tasks.models import ApiKey, Task
from tests.factories import ClientFactory, TaskFactory
from tests.orchestrator_site.console.clients.client_pages import (
    CLIENTS,
    column,
    content,
    let_in,
)

pytestmark = pytest.mark.django_db


def only_cell(console: Browser, name: str) -> str:
    [cell] = column(content(console.get(CLIENTS)), name)
    return cell


def test_list_names_each_client(console: Browser) -> None:
    ClientFactory(name="zebra")
    ClientFactory(name="aardvark")
    assert column(content(console.get(CLIENTS)), "name") == ["aardvark", "zebra"]


def test_list_counts_tasks_of_the_last_day_and_all(console: Browser) -> None:
    client = ClientFactory()
    TaskFactory(client=client)
    TaskFactory(client=client, completed=True)
    old = TaskFactory(client=client)
    Task.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=25))
    TaskFactory()
    assert only_cell(console, "tasks_last_day") == "2"
    assert only_cell(console, "all_tasks") == "3"
    assert only_cell(console, "pending") == "2 (no limit)"


def test_list_counts_refusals_of_the_last_day(console: Browser) -> None:
    client = ClientFactory()
    for verdict, owner in [("blocked", client.pk), ("safe", client.pk), ("blocked", None)]:
        Receipt.objects.create(verdict=verdict, client_id=owner)
    old = Receipt.objects.create(verdict="blocked", client_id=client.pk)
    Receipt.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=25))
    assert only_cell(console, "refused_last_day") == "1"


def test_list_shows_when_a_client_was_last_seen(console: Browser) -> None:
    client = ClientFactory()
    assert only_cell(console, "last_seen") == "never"
    keys = [client.make_key([Scope.READ]) for _ in range(2)]
    assert let_in(keys[0])
    ApiKey.objects.filter(last_used_at=None).update(last_used_at=timezone.now() - timedelta(days=3))
    assert only_cell(console, "last_seen") == "&lt; 1 min ago"


@pytest.mark.parametrize(
    ("own", "of_service", "shown"),
    [
        (1200, 60, "1,200"),
        (None, 6000, "6,000 (default)"),
        (None, None, "no limit"),
    ],
)
def test_list_shows_the_limit_that_holds(
    own: int | None, of_service: int | None, shown: str, console: Browser, settings: Any
) -> None:
    settings.RATE_LIMIT = of_service
    ClientFactory(rate_limit=own)
    assert only_cell(console, "requests_a_minute") == shown


def test_list_shows_the_largest_number_of_pending_tasks(console: Browser) -> None:
    ClientFactory(max_pending=5000)
    assert only_cell(console, "pending") == "0 (5,000)"


def test_list_counts_keys_that_work(console: Browser) -> None:
    client = ClientFactory()
    client.make_key([Scope.READ])
    client.make_key([Scope.READ], expires_at=timezone.now() + timedelta(days=1))
    client.make_key([Scope.READ], expires_at=timezone.now() - timedelta(seconds=1))
    client.make_key([Scope.READ])
    client.revoke_key(client.keys.latest("created_at"))
    assert only_cell(console, "working_keys") == "2"


def test_disabled_client_has_no_key_that_works(console: Browser) -> None:
    client = ClientFactory()
    client.make_key([Scope.READ])
    client.disable()
    assert only_cell(console, "working_keys") == "0"
    assert only_cell(console, "state") == "disabled"


@pytest.mark.parametrize("count", [1, 20])
def test_list_takes_the_same_queries_for_many_clients(
    count: int, console: Browser, django_assert_num_queries: Any
) -> None:
    for client in ClientFactory.create_batch(count):
        client.make_key([Scope.READ])
        TaskFactory(client=client)
    # Session, user, permissions (2), count, clients, figures, pause.
    with django_assert_num_queries(8):
        console.get(CLIENTS)


@pytest.mark.parametrize(
    ("text", "found"),
    [("port", ["reporting"]), ("REPORT", ["reporting"]), ("%", []), ("_", []), ("", None)],
)
def test_list_can_be_searched_for_a_part_of_a_name(
    console: Browser, text: str, found: list[str] | None
) -> None:
    for name in ("reporting", "zebra"):
        ClientFactory(name=name)
    page = content(console.get(CLIENTS, {"q": text}))
    assert column(page, "name") == (["reporting", "zebra"] if found is None else found)
