"""The console's pages of staff and roles."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.staff import member_of

pytestmark = pytest.mark.django_db

USERS, ROLES = "/admin/auth/user/", "/admin/auth/group/"


@pytest.fixture
def console(admin_client: Client) -> Client:
    """A client that gets error responses instead of exceptions, as from a running service."""
    admin_client.raise_request_exception = False
    return admin_client


@pytest.mark.parametrize("page", [USERS, ROLES])
@pytest.mark.parametrize("ticked", ["x", "\0", "", "1e3", "12345678-1234-1234-1234-123456789abc"])
def test_action_on_an_invalid_id_is_refused(page: str, ticked: str, console: Client) -> None:
    members = User.objects.count()
    body = {"action": "delete_selected", "_selected_action": ["1", ticked], "post": "yes"}
    response = console.post(page, body)
    assert response.status_code == 400
    assert "The request cannot be understood." in response.content.decode()
    assert User.objects.count() == members


@pytest.mark.parametrize("page", [USERS, ROLES])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "delete_selected"},
        {"action": "no_such_action", "_selected_action": "1"},
        {"action": "delete_selected", "_selected_action": "9" * 30, "index": "x"},
    ],
)
def test_incomplete_or_unknown_action_changes_nothing(
    page: str, body: dict[str, str], console: Client
) -> None:
    members = User.objects.count()
    assert console.post(page, body).status_code in (200, 302)
    assert User.objects.count() == members


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("is_active__exact=1", 200),
        ("is_staff__exact=0&is_superuser__exact=0", 200),
        ("groups__isnull=True", 200),
        ("date_joined__gte=2024-01-01", 400),
        ("email__startswith=a", 400),
        ("password__startswith=a", 400),
    ],
)
def test_users_are_filtered_only_by_offered_fields(
    query: str, status: int, console: Client
) -> None:
    assert console.get(f"{USERS}?{query}").status_code == status


def test_users_are_filtered_by_role(console: Client) -> None:
    group = member_of("Viewer").groups.get()
    assert "1 user" in console.get(f"{USERS}?groups__id__exact={group.pk}").content.decode()
