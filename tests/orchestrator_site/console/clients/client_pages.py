"""Requests of staff who manage clients in the console."""

import re
from typing import Any
from uuid import uuid4

from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils.html import strip_tags

from tasks.clients.authentication import Authenticator
from tasks.clients.exceptions import CredentialsRefused
from tasks.clients.scopes import Scope
from tasks.models import Client, ClientEvent
from tests.staff import staff

CLIENTS = "/admin/tasks/client/"
KEY = re.compile(r'id="key" value="(octollm_\w+)"')


def console_of(*codenames: str) -> Browser:
    browser = Browser(raise_request_exception=False)
    browser.force_login(staff(*codenames, name="ada"))
    return browser


def let_in(key: str) -> bool:
    """Whether the API lets a request with this key in."""
    try:
        Authenticator(is_anonymous_allowed=True, rate_limit=None).authenticate(
            key, address="192.0.2.1"
        )
    except CredentialsRefused:
        return False
    return True


def page_of(client: Client) -> str:
    return f"{CLIENTS}{client.pk}/change/"


def act(console: Browser, client: Client, step: str, **fields: Any) -> HttpResponse:
    """Post one of the forms on the page of a client."""
    return console.post(page_of(client), {"step": step} | fields)


def make_key(console: Browser, client: Client, **fields: Any) -> HttpResponse:
    form = {"key_id": str(uuid4()), "scopes": [Scope.SUBMIT.value], "days": "90"}
    return act(console, client, "make_key", **form | fields)


def content(response: HttpResponse) -> str:
    assert response.status_code == 200
    return response.content.decode()


def key_in(response: HttpResponse) -> str:
    [key] = KEY.findall(content(response))
    return str(key)


def said(response: HttpResponse) -> list[str]:
    return [strip_tags(str(message)) for message in get_messages(response.wsgi_request)]


def changes(client: Client) -> list[tuple[str, str, str]]:
    """Return kind, actor and reason of each change."""
    return list(ClientEvent.objects.filter(client=client).values_list("kind", "actor", "reason"))


def changes_on(page: str) -> list[tuple[str, str, str]]:
    """Return the text, actor and reason of each change that the page of a client shows."""
    return re.findall(
        r"<td>([^<]*)</td><td><bdi>(.*?)</bdi></td><td class=\"whole\">"
        r"<div class=\"client-text\">(.*?)</div>",
        page,
    )


def column(text: str, name: str) -> list[str]:
    cells = re.findall(rf'<t[dh] class="[^"]*field-{name}[^"]*">(.*?)</t[dh]>', text)
    return [strip_tags(cell) for cell in cells]
