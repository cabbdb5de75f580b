"""What a developer needs to be let in: a staff account for the console, and an API key."""

import secrets
from typing import Final, NamedTuple

from django.contrib.auth import get_user_model

from tasks.clients.scopes import Scope
from tasks.models import Client

CLIENT: Final = "development"


class Account(NamedTuple):
    """The first staff account.

    Attributes:
        password: empty if it is not known.
    """

    name: str
    password: str


def staff_account(*, with_new_password: bool) -> Account:
    """Return the first staff account; create one if there is none."""
    users = get_user_model().objects
    # Accounts that may log in, superusers first.
    account = users.filter(is_staff=True, is_active=True).order_by("-is_superuser", "pk").first()
    if account and not with_new_password:
        return Account(account.get_username(), "")
    password = secrets.token_urlsafe(12)
    if account:
        account.set_password(password)
        account.save(update_fields=["password"])
    else:
        account = users.create_superuser("admin", password=password)
    return Account(account.get_username(), password)


def api_key(*, with_new_key: bool) -> str:
    """Return a new API key with all scopes if there is no client yet, empty otherwise.

    A database with clients is in use, perhaps by others: there, a key is made only on request.

    Args:
        with_new_key: make a key in any case. Those made before go on working.

    Raises:
        ClientDisabled: the client of these keys is disabled.
    """
    if not with_new_key and Client.objects.exists():
        return ""
    try:
        client = Client.objects.named(CLIENT)
    except Client.DoesNotExist:
        client = Client.objects.add(CLIENT)
    return client.make_key([*Scope])
