"""Requests with a token: whose client they find, and what is counted."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from tasks.clients.authentication import Authenticator
from tasks.clients.authentication import authenticator as authenticator_of_settings
from tasks.clients.caller import Caller
from tasks.clients.credentials import _FIND_BY_SUBJECT
from tasks.clients.current import current_client
from tasks.clients.exceptions import (
    ClientHasTokens,
    CredentialsRefused,
    IssuerKeysUnavailable,
    RateLimited,
)
from tasks.clients.keys import new_key
from tasks.clients.scopes import Scope
from tasks.models import Client, ClientEvent, RateLimit
from tasks.models.client import Limits
from tests.factories import ClientFactory
from tests.issuer import AUDIENCE, Issuer
from tests.tasks.clients.counts import counted
from tests.tasks.clients.keys import key_of
from tests.tasks.clients.tokens.trusting import authenticator
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.7"


@pytest.fixture
def trusting(issuer: Issuer) -> Authenticator:
    return authenticator(issuer)


def show(trusting: Authenticator, token: str) -> Caller:
    return trusting.authenticate(token, address=ADDRESS)


def refusal(trusting: Authenticator, token: str) -> str:
    with pytest.raises(CredentialsRefused) as refused:
        show(trusting, token)
    return refused.value.cause


def is_within_limit(trusting: Authenticator, token: str) -> bool:
    try:
        show(trusting, token)
    except CredentialsRefused:
        return True
    except RateLimited:
        return False
    return True


# Whose token it is


def test_the_first_token_makes_its_client(issuer: Issuer, trusting: Authenticator) -> None:
    token = issuer.token("reporting", "task:read openid")
    caller = show(trusting, token)
    client = Client.objects.get()
    assert (client.name, client.issuer, client.subject) == (
        "token:reporting",
        issuer.url,
        "reporting",
    )
    assert (caller.client_id, caller.name, caller.scopes, caller.max_pending, caller.usage) == (
        client.pk,
        "token:reporting",
        {"task:read"},
        None,
        None,
    )
    assert caller.expires_at is not None
    assert abs(caller.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    event = ClientEvent.objects.get()
    assert (event.client, event.kind, event.actor, event.data) == (
        client,
        "added",
        "",
        {"issuer": issuer.url},
    )
    assert current_client.get() == "token:reporting"


def test_further_tokens_of_a_subject_are_of_the_same_client(
    issuer: Issuer, trusting: Authenticator
) -> None:
    first = show(trusting, issuer.token("reporting", "task:read"))
    issuer.rotate("ES256")
    second = show(authenticator(issuer), issuer.token("reporting", "task:submit"))
    assert first.client_id == second.client_id
    assert (first.scopes, second.scopes) == ({"task:read"}, {"task:submit"})
    assert ClientEvent.objects.count() == 1


@pytest.mark.parametrize("other", ["Reporting", "reporting ", "report", "reporting2"])
def test_subjects_that_differ_are_different_clients(
    issuer: Issuer, trusting: Authenticator, other: str
) -> None:
    clients = [show(trusting, issuer.sign(sub=sub)).client_id for sub in ("reporting", other)]
    assert len({*clients}) == 2


def test_the_same_subject_of_another_issuer_is_another_client(issuer: Issuer) -> None:
    with Issuer() as other:
        clients = [show(authenticator(each), each.token()).client_id for each in (issuer, other)]
    assert len({*clients}) == 2


@pytest.mark.parametrize("name", ["reporting", "token:reporting"])
def test_a_client_with_keys_is_never_that_of_a_token(
    issuer: Issuer, trusting: Authenticator, name: str
) -> None:
    ClientFactory(name=name)
    show(trusting, issuer.token("reporting"))
    assert Client.objects.count() == 2
    assert Client.objects.named(name).issuer == ""


def test_staff_cannot_take_the_name_of_a_client_with_tokens() -> None:
    with pytest.raises(ValidationError):
        Client.objects.add("token:reporting")


def test_a_client_with_tokens_gets_no_keys(issuer: Issuer, trusting: Authenticator) -> None:
    show(trusting, issuer.token())
    client = Client.objects.get()
    with pytest.raises(ClientHasTokens):
        client.make_key([Scope.READ])
    assert not client.keys.exists()


@pytest.mark.parametrize("sub", ["x" * 255, "東" * 255, "auth0|5f7c", "id@clients", "a, b"])
def test_any_subject_has_a_client(issuer: Issuer, trusting: Authenticator, sub: str) -> None:
    assert show(trusting, issuer.sign(sub=sub)).name == f"token:{sub}"
    assert Client.objects.get().subject == sub


@pytest.mark.parametrize(("issuer_name", "subject"), [("https://a", ""), ("", "a")])
def test_a_subject_belongs_to_an_issuer(issuer_name: str, subject: str) -> None:
    with pytest.raises(IntegrityError):
        ClientFactory(issuer=issuer_name, subject=subject)


def test_a_subject_has_one_client() -> None:
    ClientFactory(issuer="https://a", subject="a")
    with pytest.raises(IntegrityError, match="clients_subject_once"):
        ClientFactory(issuer="https://a", subject="a")


def test_a_client_and_its_event_are_stored_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ClientEvent.objects, "create", fail)
    with pytest.raises(ZeroDivisionError):
        Client.objects.add_of_issuer("https://login.example", "reporting")
    assert not Client.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_first_tokens_at_once_make_one_client(issuer: Issuer) -> None:
    trusting = authenticator(issuer)
    token = issuer.token()

    def first(_: int) -> Any:
        try:
            return show(trusting, token).client_id
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as executor:
        assert len({*executor.map(first, range(32))}) == 1
    assert (Client.objects.count(), ClientEvent.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "changes", [{"aud": "https://other.example"}, {"exp": 1}, {"sub": ""}], ids=str
)
def test_a_token_that_is_not_good_makes_no_client(
    issuer: Issuer, trusting: Authenticator, changes: dict[str, Any], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        refusal(trusting, issuer.sign(**changes))
    assert not Client.objects.exists()


# Statements


def test_a_token_costs_the_one_statement_that_a_key_costs(
    issuer: Issuer, django_assert_num_queries: Any
) -> None:
    trusting, token, key = authenticator(issuer, rate_limit=1_000), issuer.token(), key_of()
    for credential in (token, key):
        show(trusting, credential)
        with django_assert_num_queries(1):
            show(trusting, credential)


def test_the_use_of_a_token_is_noted_once_a_minute(
    issuer: Issuer, trusting: Authenticator, django_assert_num_queries: Any
) -> None:
    token = issuer.token()
    before = timezone.now() - timedelta(minutes=1)
    show(trusting, token)
    client = Client.objects.get()
    assert client.token_used_at is not None
    assert client.token_used_at > before
    long_ago = timezone.now() - timedelta(minutes=2)
    Client.objects.update(token_used_at=long_ago)
    with django_assert_num_queries(2):
        show(trusting, token)
    client.refresh_from_db()
    assert client.token_used_at > long_ago


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_the_same_time_one_notes_the_use(issuer: Issuer) -> None:
    trusting, token = authenticator(issuer), issuer.token()
    Client.objects.add_of_issuer(issuer.url, "reporting")
    noted = timezone.now()

    def second() -> None:
        try:
            show(trusting, token)
        finally:
            connection.close()

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            return cursor.fetchone() is not None

    with ThreadPoolExecutor(1) as executor:
        with transaction.atomic():
            Client.objects.update(token_used_at=noted)
            request = executor.submit(second)
            wait_until(waits)
        request.result()
    assert Client.objects.get().token_used_at == noted


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
def test_the_client_of_a_token_is_found_by_an_index(plan: str) -> None:
    """Statements are prepared after some executions, and then planned for any value."""
    statement = _FIND_BY_SUBJECT.replace("%s", "${}").format(1, 2, 3)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"SET LOCAL plan_cache_mode = {plan}")
        cursor.execute(f"PREPARE found (integer, text, text) AS {statement}")
        cursor.execute("EXPLAIN EXECUTE found (NULL, 'https://login.example', 'reporting')")
        lines = "\n".join(line for [line] in cursor.fetchall())
        cursor.execute("DEALLOCATE found")
    assert "clients_subject_once" in lines


# Limits, and the end


def test_a_client_with_tokens_is_limited(issuer: Issuer) -> None:
    trusting, token = authenticator(issuer, rate_limit=3), issuer.token()
    assert [is_within_limit(trusting, token) for _ in range(5)] == [True] * 3 + [False] * 2
    assert is_within_limit(trusting, issuer.token("other"))


def test_a_client_with_tokens_may_have_limits_of_its_own(
    issuer: Issuer, trusting: Authenticator
) -> None:
    token = issuer.token()
    show(trusting, token)
    Client.objects.get().change_limits(Limits(rate_limit=2, max_pending=7))
    caller = show(trusting, token)
    assert (caller.max_pending, caller.usage and caller.usage.remaining) == (7, 1)
    assert [is_within_limit(trusting, token) for _ in range(2)] == [True, False]


def test_the_limit_of_a_client_wins_over_the_general_one(issuer: Issuer) -> None:
    token = issuer.token()
    show(authenticator(issuer), token)
    Client.objects.get().change_limits(Limits(rate_limit=1_000, max_pending=None))
    caller = show(authenticator(issuer, rate_limit=1), token)
    assert caller.usage is not None
    assert caller.usage.limit == 1_000


def test_a_disabled_client_is_refused_at_once_with_all_tokens(
    issuer: Issuer, trusting: Authenticator
) -> None:
    tokens = [issuer.token(), issuer.token()]
    show(trusting, tokens[0])
    client = Client.objects.get()
    client.disable(reason="left")
    current_client.set("")
    assert [refusal(trusting, token) for token in tokens] == ["disabled", "disabled"]
    # So that the log can say who was turned away.
    assert current_client.get() == "token:reporting"
    client.enable()
    assert show(trusting, tokens[1]).client_id == client.pk


def test_refused_tokens_are_limited_by_address(issuer: Issuer) -> None:
    trusting = authenticator(issuer, rate_limit=2)
    forged = [issuer.sign(exp=1), "a.b.c", issuer.sign(headers={"kid": "other"})]
    assert [is_within_limit(trusting, token) for token in forged] == [True, True, False]
    assert RateLimit.objects.get().key == f"address:{ADDRESS}"


def test_tokens_that_cannot_be_checked_are_limited_by_address(issuer: Issuer) -> None:
    issuer.go_down()
    trusting = authenticator(issuer, rate_limit=2)
    outcomes: list[type[Exception]] = []
    for _ in range(3):
        try:
            show(trusting, issuer.sign())
        except (IssuerKeysUnavailable, RateLimited) as error:
            outcomes.append(type(error))
    assert outcomes == [IssuerKeysUnavailable, IssuerKeysUnavailable, RateLimited]


# Counts


@pytest.mark.parametrize(
    ("changes", "headers", "result"),
    [
        ({}, {}, "accepted"),
        ({}, {"crit": []}, "malformed"),
        ({}, {"alg": "none"}, "algorithm"),
        ({"iss": "https://other.example"}, {}, "issuer"),
        ({}, {"kid": "other"}, "unknown_key"),
        ({"exp": 1}, {}, "expired"),
        ({"nbf": 2_000_000_000_000}, {}, "not_yet_valid"),
        ({"aud": "other"}, {}, "audience"),
        ({"sub": ""}, {}, "claims"),
    ],
)
def test_each_outcome_is_counted(
    issuer: Issuer,
    trusting: Authenticator,
    changes: dict[str, Any],
    headers: dict[str, Any],
    result: str,
) -> None:
    before = counted(result)
    with contextlib.suppress(CredentialsRefused):
        show(trusting, issuer.sign(headers=headers, **changes))
    assert counted(result) == before + 1


def test_a_forged_signature_is_counted(issuer: Issuer, trusting: Authenticator) -> None:
    before = counted("signature")
    refusal(trusting, issuer.sign(secret=b"other"))
    assert counted("signature") == before + 1


def test_a_token_that_cannot_be_checked_is_counted(issuer: Issuer, trusting: Authenticator) -> None:
    issuer.go_down()
    before = counted("issuer_unavailable")
    with pytest.raises(IssuerKeysUnavailable):
        show(trusting, issuer.sign())
    assert counted("issuer_unavailable") == before + 1


# Keys beside tokens, and the settings


def test_keys_work_beside_tokens(trusting: Authenticator, issuer: Issuer) -> None:
    client = ClientFactory()
    issuer.go_down()
    assert show(trusting, key_of(client)).client_id == client.pk
    assert refusal(trusting, new_key()) == "unknown"
    assert refusal(trusting, "mistyped") == "malformed"
    assert issuer.requests == []


def test_without_an_issuer_no_token_is_good(issuer: Issuer) -> None:
    keys_only = Authenticator(is_anonymous_allowed=True, rate_limit=None)
    keys_only.begin_fetch()
    assert refusal(keys_only, issuer.token()) == "no_issuer"
    assert issuer.requests == [("POST", "/token")]


@pytest.mark.parametrize("has_address", [False, True])
def test_the_settings_name_the_issuer(issuer: Issuer, has_address: bool) -> None:
    authenticator_of_settings.cache_clear()
    address = issuer.keys_url if has_address else ""
    with override_settings(
        JWT_ISSUER=issuer.url, JWT_AUDIENCE=AUDIENCE, JWT_JWKS_URL=address, RATE_LIMIT=None
    ):
        built = authenticator_of_settings()
    authenticator_of_settings.cache_clear()
    assert show(built, issuer.sign()).name == "token:reporting"
    assert len(issuer.requests) == (1 if has_address else 2)
