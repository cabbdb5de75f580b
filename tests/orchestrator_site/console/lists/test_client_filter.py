"""The filter by client, of tasks and receipts."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser

from orchestrator_site.console.lists.filters import MAX_CLIENTS
from orchestrator_site.console.lists.read_only import FILTER_IGNORED
from safety.models import Receipt
from tasks.models import Client
from tests.factories import ClientFactory, TaskFactory
from tests.staff import staff

pytestmark = pytest.mark.django_db

TASKS, RECEIPTS = "/admin/tasks/task/", "/admin/safety/receipt/"

Make = Callable[[Client | None], UUID]


def task(client: Client | None) -> UUID:
    return UUID(str(TaskFactory(client=client).pk))


def receipt(client: Client | None) -> UUID:
    owner = client.pk if client else None
    return UUID(str(Receipt.objects.create(verdict="safe", client_id=owner).pk))


@pytest.fixture
def console(client: Browser) -> Browser:
    client.force_login(staff("view_task", "view_receipt"))
    return client


@pytest.fixture(params=[(TASKS, task), (RECEIPTS, receipt)], ids=["tasks", "receipts"])
def kind(request: pytest.FixtureRequest) -> tuple[str, Make]:
    """The path of a list, and what makes a row of it."""
    of_list: tuple[str, Make] = request.param
    return of_list


def listed(console: Browser, path: str, client: object) -> set[UUID]:
    response = console.get(path, {"client": client})
    assert response.status_code == 200
    ids = re.findall(rf'href="{path}([0-9a-f-]{{36}})/change/', response.content.decode())
    return {*map(UUID, ids)}


def test_rows_of_one_client(kind: tuple[str, Make], console: Browser) -> None:
    path, make = kind
    client = ClientFactory()
    of_client, _, _ = make(client), make(ClientFactory()), make(None)
    assert listed(console, path, client.pk) == {of_client}


def test_rows_of_anonymous_callers(kind: tuple[str, Make], console: Browser) -> None:
    path, make = kind
    make(ClientFactory())
    anonymous = make(None)
    assert listed(console, path, "anonymous") == {anonymous}


def test_unknown_client_has_no_rows(kind: tuple[str, Make], console: Browser) -> None:
    path, make = kind
    make(None)
    assert listed(console, path, uuid4()) == set()


@pytest.mark.parametrize("invalid", ["x", "\0", "1", "reports", "", "None"])
def test_invalid_client_is_ignored(invalid: str, kind: tuple[str, Make], console: Browser) -> None:
    path, make = kind
    make(None)
    response = console.get(path, {"client": invalid}, follow=True)
    assert FILTER_IGNORED in response.content.decode()


def test_filter_offers_each_client(kind: tuple[str, Make], console: Browser) -> None:
    path, _ = kind
    ClientFactory(name="zebra")
    ClientFactory(name="aardvark")
    content = console.get(path).content.decode()
    offered = re.findall(r'<a href="\?client=[^"]+">([^<]+)</a>', content)
    assert offered == ["Anonymous", "aardvark", "zebra"]


def test_filter_offers_clients_of_staff_first_and_cuts_long_names(
    kind: tuple[str, Make], console: Browser
) -> None:
    path, make = kind
    make(ClientFactory(with_tokens=True, subject="a" * 200 + "b" * 55))
    ClientFactory(name="zebra")
    content = console.get(path).content.decode()
    offered = re.findall(r'<a href="\?client=[^"]+">([^<]+)</a>', content)
    cut = f"token:{'a' * 26}…{'b' * 31}"
    assert offered == ["Anonymous", "zebra", cut]
    assert re.findall(r'<td class="field-client_name">([^<]+)</td>', content) == [cut]


def test_chosen_client_is_offered_beyond_the_first_ones(
    kind: tuple[str, Make], console: Browser
) -> None:
    path, _ = kind
    ClientFactory.create_batch(MAX_CLIENTS)
    last = ClientFactory(name="zebra")
    content = console.get(path, {"client": last.pk}).content.decode()
    assert re.findall(r'class="selected">\s*<a [^>]*>zebra</a>', content)


@pytest.mark.parametrize("count", [1, 20])
def test_list_takes_the_same_queries_for_many_clients(
    count: int, kind: tuple[str, Make], console: Browser, django_assert_num_queries: Any
) -> None:
    path, make = kind
    for client in ClientFactory.create_batch(count):
        make(client)
    # Session, user, permissions (2), clients of the filter, count, rows, pause.
    with django_assert_num_queries(8):
        console.get(path)
