"""The console's list of sign-ins."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from orchestrator_site.console.lists.read_only import FILTER_IGNORED
from tasks.models import SignIn
from tests.staff import staff

pytestmark = pytest.mark.django_db

SIGN_INS = "/admin/tasks/signin/"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console(client: Client) -> Client:
    client.force_login(staff("view_signin"))
    return client


def sign_in(account: str, outcome: str = "failed", day: int = 15, **fields: Any) -> SignIn:
    at = datetime(2025, 11, day, 12, tzinfo=UTC)
    return SignIn.objects.create(account=account, outcome=outcome, created_at=at, **fields)


def rows(console: Client, query: str = "") -> list[list[str]]:
    """Return the cells of each row of the list."""
    content = console.get(SIGN_INS + query).content.decode()
    body = content.split("<tbody>")[1].split("</tbody>")[0] if "<tbody>" in content else ""
    return [
        [strip_tags(cell).strip() for cell in re.findall(r"<t[dh] .*?</t[dh]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
    ]


def accounts(console: Client, query: str = "") -> list[str]:
    return [account for _, account, *_ in rows(console, query)]


def test_list_shows_time_account_outcome_and_origin(console: Client) -> None:
    sign_in("ada", "succeeded", client_address="192.0.2.1", request_id="an-id")
    assert rows(console) == [["2025-11-15 12:00:00", "ada", "succeeded", "192.0.2.1", "an-id"]]


def test_list_begins_with_the_newest(console: Client) -> None:
    for day, account in [(2, "second"), (3, "first"), (1, "third")]:
        sign_in(account, day=day)
    assert accounts(console) == ["first", "second", "third"]


def test_failure_without_an_account_has_an_unknown_name(console: Client) -> None:
    sign_in("")
    assert accounts(console) == ["unknown name"]


def test_name_is_shown_as_text(console: Client) -> None:
    sign_in(SCRIPT)
    assert SCRIPT not in console.get(SIGN_INS).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?outcome__exact=failed", ["eve"]),
        ("?outcome__exact=succeeded", ["ada"]),
        ("?from=2025-11-16", ["ada"]),
        ("?to=2025-11-15", ["eve"]),
        ("?from=2025-11-15&to=2025-11-16", ["ada", "eve"]),
        ("?outcome__exact=failed&from=2025-11-16", []),
    ],
)
def test_list_is_filtered_by_outcome_and_day(query: str, found: list[str], console: Client) -> None:
    sign_in("eve", "failed", day=15)
    sign_in("ada", "succeeded", day=16)
    assert accounts(console, query) == found


def test_invalid_day_is_ignored(console: Client) -> None:
    sign_in("ada")
    response = console.get(f"{SIGN_INS}?from=x", follow=True)
    assert FILTER_IGNORED in response.content.decode()
    assert "1 sign-in" in response.content.decode()


@pytest.mark.parametrize("query", ["account__startswith=a", "request_id=x", "id__gt=1"])
def test_filter_that_the_list_does_not_offer_is_refused(query: str, console: Client) -> None:
    assert console.get(f"{SIGN_INS}?{query}").status_code == 400


@pytest.mark.parametrize("path", ["add/", "{}/change/", "{}/delete/"])
def test_superuser_cannot_change_sign_ins(path: str, admin_client: Client) -> None:
    kept = sign_in("ada")
    before = list(SignIn.objects.values())
    response = admin_client.post(SIGN_INS + path.format(kept.pk), {"account": "x", "post": "yes"})
    assert response.status_code == 403
    assert list(SignIn.objects.values()) == before


@pytest.mark.parametrize("count", [1, 30])
def test_list_takes_the_same_queries_for_many_rows(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        sign_in("ada")
    # Session, user, permissions (2), count, rows, pause.
    with django_assert_num_queries(7):
        console.get(SIGN_INS)
