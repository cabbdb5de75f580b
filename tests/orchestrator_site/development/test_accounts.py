"""The staff account and the API key that `make run` makes."""

import pytest
from django.contrib.auth import get_user_model

from orchestrator_site.development.accounts import CLIENT, api_key, staff_account
from tasks.clients.authentication import authenticator
from tasks.clients.exceptions import ClientDisabled
from tasks.clients.scopes import Scope
from tasks.models import Client

pytestmark = pytest.mark.django_db


def test_first_key_is_of_a_client_for_development_and_allows_everything() -> None:
    caller = authenticator().authenticate(api_key(with_new_key=False), address="127.0.0.1")
    assert (caller.name, caller.scopes) == (CLIENT, {*Scope})


def test_later_runs_make_no_key() -> None:
    api_key(with_new_key=False)
    assert api_key(with_new_key=False) == ""


def test_no_key_is_made_unasked_where_there_are_clients() -> None:
    Client.objects.add("reporting")
    assert api_key(with_new_key=False) == ""
    assert [client.name for client in Client.objects.all()] == ["reporting"]


def test_new_key_works_beside_the_first_one() -> None:
    keys = [api_key(with_new_key=False), api_key(with_new_key=True)]
    callers = [authenticator().authenticate(key, address="127.0.0.1") for key in keys]
    assert keys[0] != keys[1]
    assert callers[0].client_id == callers[1].client_id


def test_new_key_is_of_the_client_for_development_among_others() -> None:
    Client.objects.add("reporting")
    caller = authenticator().authenticate(api_key(with_new_key=True), address="127.0.0.1")
    assert caller.name == CLIENT


def test_disabled_client_gets_no_key() -> None:
    api_key(with_new_key=False)
    Client.objects.named(CLIENT).disable()
    with pytest.raises(ClientDisabled):
        api_key(with_new_key=True)


def test_first_account_is_a_superuser_and_its_password_is_known_once() -> None:
    account = staff_account(with_new_password=False)
    user = get_user_model().objects.get(username=account.name)
    assert user.is_superuser
    assert user.check_password(account.password)
    assert staff_account(with_new_password=False) == (account.name, "")


def test_new_password_is_of_the_first_superuser() -> None:
    users = get_user_model().objects
    users.create_user("ada", password="ada's own", is_staff=True)
    users.create_superuser("grace", password="grace's own")
    account = staff_account(with_new_password=True)
    assert account.name == "grace"
    assert users.get(username="grace").check_password(account.password)
    assert users.get(username="ada").check_password("ada's own")
