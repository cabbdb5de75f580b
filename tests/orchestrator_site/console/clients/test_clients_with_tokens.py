"""What staff see and do on the console's pages of clients that an issuer made."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tasks.clients.caller import Caller
from tasks.clients.exceptions import CredentialsRefused, RateLimited
from tasks.models import ApiKey, Client
from tests.factories import ClientFactory
from tests.issuer import Issuer
from tests.orchestrator_site.console.clients.client_pages import (
    CLIENTS,
    act,
    changes,
    changes_on,
    column,
    content,
    make_key,
    page_of,
    said,
)
from tests.tasks.clients.counts import counted
from tests.tasks.clients.tokens.trusting import authenticator

pytestmark = pytest.mark.django_db

ISSUER = "https://id.example/realms/company"


@pytest.fixture
def made() -> Client:
    """A client as its first token makes it."""
    Client.objects.add_of_issuer(ISSUER, "reporting")
    return Client.objects.get()


def authenticate(issuer: Issuer) -> Caller:
    return authenticator(issuer).authenticate(issuer.token(), address="192.0.2.7")


def test_list_tells_it_from_a_client_with_keys(made: Client, console: Browser) -> None:
    ClientFactory(name="reporting")
    page = content(console.get(CLIENTS))
    assert column(page, "name") == ["reporting", "token:reporting"]
    assert column(page, "working_keys") == ["0", "tokens"]


def test_list_shows_those_that_staff_made_first(made: Client, console: Browser) -> None:
    ClientFactory(name="zebra")
    assert column(content(console.get(CLIENTS)), "name") == ["zebra", "token:reporting"]


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (None, "never"),
        (timedelta(minutes=3, seconds=1), "3 min ago"),
        (timedelta(days=2), "2 d ago"),
    ],
)
def test_list_shows_when_a_token_was_last_used(
    ago: timedelta | None, shown: str, console: Browser
) -> None:
    ClientFactory(with_tokens=True, token_used_at=ago and timezone.now() - ago)
    assert column(content(console.get(CLIENTS)), "last_seen") == [shown]


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("reporting", "reporting"),
        ("W" * 255, "W" * 255),
        ("<script>", "&lt;script&gt;"),
        ("two  spaces", "two  spaces"),
        ("שלום", "שלום"),
    ],
    ids=["short", "long", "markup", "spaces", "right to left"],
)
def test_page_names_issuer_and_subject_in_full(subject: str, shown: str, console: Browser) -> None:
    client = ClientFactory(with_tokens=True, issuer=ISSUER, subject=subject)
    page = content(console.get(page_of(client)))
    assert f"<dt>Issuer</dt><dd><code>{ISSUER}</code></dd>" in page
    assert f'<dt>Subject</dt><dd><code class="client-text">{shown}</code></dd>' in page


def test_page_of_a_client_with_keys_names_no_issuer(console: Browser) -> None:
    page = content(console.get(page_of(ClientFactory())))
    assert "Issuer" not in page
    assert "<h2>Tokens</h2>" not in page


def test_page_says_that_the_issuer_makes_its_tokens(made: Client, console: Browser) -> None:
    page = content(console.get(page_of(made)))
    assert "Its issuer makes its tokens" in page
    assert "<h2>Keys</h2>" not in page
    assert 'value="make_key"' not in page


def test_page_cuts_a_long_name_where_it_is_repeated(console: Browser) -> None:
    client = ClientFactory(with_tokens=True, subject="a" * 200 + "b" * 55)
    page = content(console.get(page_of(client)))
    assert f"<h1>{client}</h1>" in page
    assert f">Disable token:{'a' * 26}…{'b' * 31}</button>" in page


@pytest.mark.parametrize(
    ("traits", "word"), [({}, "keys"), ({"with_tokens": True}, "tokens")], ids=["keys", "tokens"]
)
def test_page_says_what_disabling_does(traits: dict[str, Any], word: str, console: Browser) -> None:
    client = ClientFactory(**traits)
    page = content(console.get(page_of(client)))
    assert f"Refuses the client at once, with all its {word}." in page
    response = act(console, client, "disable", reason="misuse")
    assert said(response) == [f"Disabled {client}, with all its {word}."]
    page = content(console.get(page_of(client)))
    assert f"none of its {word} works." in page
    assert f"<p>Its {word} that " in page


def test_it_gets_no_key(made: Client, console: Browser) -> None:
    before = changes(made)
    response = make_key(console, made)
    assert said(response) == ["token:reporting has tokens of its issuer, and gets no key."]
    assert response["Location"] == page_of(made)
    assert not ApiKey.objects.exists()
    assert changes(made) == before


def test_it_has_no_key_to_revoke(made: Client, console: Browser) -> None:
    response = act(console, made, "revoke", key="00000000", reason="lost")
    assert said(response) == ["The client has no such key."]


def test_page_says_that_a_token_made_it(made: Client, console: Browser) -> None:
    made.disable(reason="misuse")
    assert changes_on(content(console.get(page_of(made)))) == [
        ("Disabled", "command line", "misuse"),
        (f"Added by a token of {ISSUER}", "issuer", ""),
    ]


def test_token_of_a_disabled_client_is_refused_and_counted(
    issuer: Issuer, console: Browser
) -> None:
    authenticate(issuer)
    act(console, Client.objects.get(), "disable", reason="misuse")
    before = counted("disabled")
    with pytest.raises(CredentialsRefused, match="disabled"):
        authenticate(issuer)
    assert counted("disabled") == before + 1


def test_token_of_an_enabled_client_is_let_in_again(issuer: Issuer, console: Browser) -> None:
    authenticate(issuer)
    client = Client.objects.get()
    client.disable()
    act(console, client, "enable", reason="talked to them")
    assert authenticate(issuer).client_id == client.pk


def test_limit_of_its_own_holds(issuer: Issuer, console: Browser) -> None:
    authenticate(issuer)
    act(console, Client.objects.get(), "limits", rate_limit="1", max_pending="7")
    assert authenticate(issuer).max_pending == 7
    with pytest.raises(RateLimited):
        authenticate(issuer)
