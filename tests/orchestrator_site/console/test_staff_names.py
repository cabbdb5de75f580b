"""The names that staff may have."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from orchestrator_site.console.staff_names import RESERVED, validate_staff_name
from tasks.changes import ActorKind
from tests.staff import staff

pytestmark = pytest.mark.django_db

OF_THE_SERVICE = "This name, or one that looks like it, is reserved."
TAKEN = "This name is too similar to that of another account."
PASSWORD = "correct horse battery"


def fault(name: str) -> str:
    with pytest.raises(ValidationError) as caught:
        validate_staff_name(name)
    return caught.value.messages[0]


@pytest.mark.parametrize(
    "name",
    [
        "service",
        "gate",
        "client",
        "staff",
        "issuer",
        "Service",
        "GATE",
        # A Cyrillic letter, full-width letters, a zero-width space, a Hangul filler, a soft hyphen.
        "сlient",
        "ｇａｔｅ",
        "ga\u200bte",
        "service\u3164",
        "cli\u00adent",
        "c1ient",
        "cIient",
        "sérvice",
    ],
)
def test_name_like_a_reserved_one_is_refused(name: str) -> None:
    assert fault(name) == OF_THE_SERVICE


def test_every_kind_of_actor_is_reserved() -> None:
    assert set(ActorKind.values) < RESERVED


@pytest.mark.parametrize("name", ["Ada.0lson", "ada.olson", "аda.Olson", "ada.O1son", "ada.Oison"])
def test_name_like_an_existing_one_is_refused(name: str) -> None:
    staff(name="Ada.Olson")
    assert fault(name) == TAKEN


@pytest.mark.parametrize("name", ["ada", "services", "clients", "gatekeeper", "ada.olsen", "Бося"])
def test_other_name_is_accepted(name: str) -> None:
    staff(name="Ada.Olson")
    validate_staff_name(name)


def test_account_keeps_its_name(admin_client: Client) -> None:
    ada = staff(name="Ada")
    page = f"/admin/auth/user/{ada.pk}/change/"
    body = {"username": "Ada", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert admin_client.post(page, body | {"first_name": "Ada"}).status_code == 302
    assert User.objects.get(pk=ada.pk).first_name == "Ada"


@pytest.mark.parametrize(("name", "why"), [("gate", OF_THE_SERVICE), ("аdmin", TAKEN)])
def test_console_says_why_a_name_is_refused(name: str, why: str, admin_client: Client) -> None:
    body = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
    content = admin_client.post("/admin/auth/user/add/", body).content.decode()
    assert why in content
    assert not User.objects.filter(username=name).exists()


def test_createsuperuser_refuses_the_same_names(admin_user: User) -> None:
    for name, why in (("Client", OF_THE_SERVICE), ("ADMIN", TAKEN)):
        with pytest.raises(CommandError, match=why):
            call_command("createsuperuser", interactive=False, username=name, email="")
