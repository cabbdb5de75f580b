"""Requests of clients to the views of this process."""

from typing import Any

from django.test import Client as Browser

from tasks.clients.scopes import Scope
from tasks.models import Client
from tests.factories import ClientFactory


def key_of(client: Client | None = None, *scopes: Scope) -> str:
    """Return a new key of `client`, by default of a new one, with all scopes if none is given."""
    owner: Client = ClientFactory() if client is None else client
    return owner.make_key(scopes or [*Scope])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def submit(browser: Browser, key: str = "", body: Any = None, **headers: str) -> Any:
    return browser.post(
        "/submit",
        {"goal": "Analyze sentiment of user reviews"} if body is None else body,
        content_type="application/json",
        headers={**(bearer(key) if key else {}), **headers},
    )
