"""The console's form that makes a key, and the page that shows it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tasks.clients.authentication import Authenticator
from tasks.clients.scopes import Scope
from tasks.models import ApiKey, ClientEvent
from tests.factories import ClientFactory
from tests.orchestrator_site.console.clients.client_pages import (
    changes,
    content,
    key_in,
    make_key,
    page_of,
    said,
)

pytestmark = pytest.mark.django_db


def test_new_key_is_shown_once(console: Browser) -> None:
    client = ClientFactory()
    key = key_in(make_key(console, client))
    later = content(console.get(page_of(client)))
    assert key not in later
    assert key[:16] in later


def test_page_of_a_new_key_is_stored_nowhere(console: Browser) -> None:
    response = make_key(console, ClientFactory())
    assert "no-store" in response["Cache-Control"]


def test_new_key_works(console: Browser) -> None:
    client = ClientFactory()
    key = key_in(make_key(console, client))
    caller = Authenticator(is_anonymous_allowed=False, rate_limit=None).authenticate(
        key, address=""
    )
    assert (caller.client_id, caller.scopes) == (client.pk, {Scope.SUBMIT})


def test_new_key_has_the_chosen_scopes(console: Browser) -> None:
    client = ClientFactory()
    make_key(console, client, scopes=["gate:dry_run", "task:read"])
    assert client.keys.get().scopes == ["task:read", "gate:dry_run"]


@pytest.mark.parametrize("days", ["30", "90", "365"])
def test_new_key_expires_after_the_chosen_time(days: str, console: Browser) -> None:
    client = ClientFactory()
    before = timezone.now()
    make_key(console, client, days=days)
    expires_at = client.keys.get().expires_at
    assert before <= expires_at - timedelta(days=int(days)) <= timezone.now()


def test_new_key_may_have_no_end(console: Browser) -> None:
    client = ClientFactory()
    make_key(console, client, days="")
    assert client.keys.get().expires_at is None


def test_new_key_leaves_its_trace(console: Browser) -> None:
    client = ClientFactory()
    key = key_in(make_key(console, client, days=""))
    assert changes(client) == [("key_made", "ada", "")]
    assert ClientEvent.objects.get().data == {
        "key": key[8:16],
        "scopes": ["task:submit"],
        "expires_at": None,
    }


def test_form_of_a_key_sent_twice_makes_one_key(console: Browser) -> None:
    client = ClientFactory()
    [key_id] = re.findall(r'name="key_id" value="([^"]+)"', content(console.get(page_of(client))))
    make_key(console, client, key_id=key_id)
    response = make_key(console, client, key_id=key_id)
    assert said(response) == [
        "This form was sent before, and its key was shown once. Revoke it if it is lost."
    ]
    assert response["Location"] == page_of(client)
    assert client.keys.count() == 1
    assert len(changes(client)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["task:everything"]},
        {"days": "1000000"},
        {"key_id": "x"},
        {"key_id": ""},
    ],
)
def test_bad_form_makes_no_key(fields: dict[str, Any], console: Browser) -> None:
    client = ClientFactory()
    page = content(make_key(console, client, **fields))
    assert "errorlist" in page
    assert not ApiKey.objects.exists()


def test_disabled_client_gets_no_key(console: Browser) -> None:
    client = ClientFactory()
    client.disable()
    response = make_key(console, client)
    assert said(response) == [f"{client} is disabled: enable it before it gets a key."]
    assert not ApiKey.objects.exists()
    assert 'value="make_key"' not in content(console.get(page_of(client)))
