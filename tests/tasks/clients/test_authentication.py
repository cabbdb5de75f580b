"""Who sends a request."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test import override_settings
from django.utils import timezone

from tasks.clients.authentication import Authenticator, authenticator
from tasks.clients.caller import Caller
from tasks.clients.current import current_client
from tasks.clients.exceptions import CredentialsRefused, RateLimited, ScopeMissing
from tasks.clients.keys import new_key
from tasks.clients.scopes import Scope
from tasks.models import ApiKey, Client, RateLimit
from tests.factories import ClientFactory
from tests.tasks.clients.counts import counted
from tests.tasks.clients.keys import key_of

pytestmark = pytest.mark.django_db

OPEN = Authenticator(is_anonymous_allowed=True, rate_limit=None)
CLOSED = Authenticator(is_anonymous_allowed=False, rate_limit=None)
ADDRESS = "192.0.2.7"


def refusal(key: str | None, authenticator: Authenticator = OPEN) -> str:
    with pytest.raises(CredentialsRefused) as refused:
        authenticator.authenticate(key, address=ADDRESS)
    return refused.value.cause


def test_a_good_key_names_its_client_and_scopes() -> None:
    client = ClientFactory(max_pending=7)
    caller = OPEN.authenticate(key_of(client, Scope.READ), address=ADDRESS)
    assert caller == Caller(client.pk, client.name, frozenset({"task:read"}), None, 7, None)


def test_the_client_is_known_to_the_log() -> None:
    OPEN.authenticate(key_of(ClientFactory(name="web")), address=ADDRESS)
    assert current_client.get() == "web"


def test_several_keys_work_at_a_time() -> None:
    client = ClientFactory()
    callers = [OPEN.authenticate(key_of(client), address=ADDRESS) for _ in range(2)]
    assert [caller.client_id for caller in callers] == [client.pk, client.pk]


def test_without_a_key_a_caller_is_anonymous() -> None:
    assert OPEN.authenticate(None, address=ADDRESS) == Caller()


def test_without_anonymous_access_a_key_is_needed() -> None:
    assert refusal(None, CLOSED) == "anonymous"


@pytest.mark.parametrize("key", ["", "x", "octollm_" + "a" * 57, "\0", "ü", "x" * 10_000])
def test_a_mistyped_key_is_refused_without_the_database(
    key: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert refusal(key) == "malformed"


def test_an_unknown_key_is_refused() -> None:
    assert refusal(new_key()) == "unknown"


def test_a_revoked_key_is_refused_at_once() -> None:
    client = ClientFactory()
    key = key_of(client)
    client.revoke_key(client.keys.get())
    assert refusal(key) == "revoked"


def test_an_expired_key_is_refused() -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ], expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal(key) == "expired"


def test_a_disabled_client_is_refused_at_once_with_all_it_has() -> None:
    client = ClientFactory()
    keys = [key_of(client), key_of(client)]
    client.disable()
    assert [refusal(key) for key in keys] == ["disabled", "disabled"]


@pytest.mark.parametrize(
    ("key", "result"),
    [(None, "anonymous"), ("mistyped", "malformed"), (new_key(), "unknown")],
    # A key of its own for each process would give the test another name there.
    ids=["anonymous", "malformed", "unknown"],
)
def test_each_outcome_is_counted(key: str | None, result: str) -> None:
    before = counted(result)
    with contextlib.suppress(CredentialsRefused):
        OPEN.authenticate(key, address=ADDRESS)
    assert counted(result) == before + 1


def test_a_good_key_is_counted() -> None:
    before = counted("accepted")
    OPEN.authenticate(key_of(), address=ADDRESS)
    assert counted("accepted") == before + 1


# When a key was last used


def last_used(key: ApiKey) -> Any:
    key.refresh_from_db(fields=["last_used_at"])
    return key.last_used_at


def test_the_first_use_of_a_key_is_noted() -> None:
    client = ClientFactory()
    before = timezone.now() - timedelta(minutes=1)
    OPEN.authenticate(key_of(client), address=ADDRESS)
    assert last_used(client.keys.get()) > before


def test_further_uses_within_a_minute_only_read(django_assert_num_queries: Any) -> None:
    key = key_of()
    OPEN.authenticate(key, address=ADDRESS)
    with django_assert_num_queries(1):
        OPEN.authenticate(key, address=ADDRESS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM rate_limits")
        assert cursor.fetchone() == (0,)


def test_a_use_after_a_minute_is_noted() -> None:
    client = ClientFactory()
    key = key_of(client)
    OPEN.authenticate(key, address=ADDRESS)
    long_ago = timezone.now() - timedelta(minutes=2)
    client.keys.update(last_used_at=long_ago)
    OPEN.authenticate(key, address=ADDRESS)
    assert last_used(client.keys.get()) > long_ago


def test_a_refused_key_is_not_used() -> None:
    client = ClientFactory()
    key = key_of(client)
    client.disable()
    refusal(key)
    assert last_used(client.keys.get()) is None


# Limits


def limited(limit: int) -> Authenticator:
    return Authenticator(is_anonymous_allowed=True, rate_limit=limit)


def passes(authenticator: Authenticator, key: str | None, address: str = ADDRESS) -> bool:
    try:
        authenticator.authenticate(key, address=address)
    except CredentialsRefused:
        return True
    except RateLimited:
        return False
    return True


def test_a_client_is_limited() -> None:
    key = key_of()
    assert [passes(limited(3), key) for _ in range(5)] == [True, True, True, False, False]


def test_all_keys_of_a_client_share_its_limit() -> None:
    client = ClientFactory()
    keys = [key_of(client), key_of(client)]
    assert [passes(limited(2), key) for key in (*keys, *keys)] == [True, True, False, False]


def test_clients_do_not_share_a_limit() -> None:
    keys = [key_of(), key_of()]
    assert [passes(limited(1), key) for key in (*keys, *keys)] == [True, True, False, False]


def test_a_client_may_have_a_limit_of_its_own() -> None:
    key = key_of(ClientFactory(rate_limit=2))
    assert [passes(limited(1), key) for _ in range(3)] == [True, True, False]
    other = key_of(ClientFactory(rate_limit=1))
    assert [passes(OPEN, other) for _ in range(2)] == [True, False]


def test_a_changed_limit_holds_from_the_next_request_on() -> None:
    client = ClientFactory(rate_limit=1)
    key = key_of(client)
    assert [passes(OPEN, key) for _ in range(2)] == [True, False]
    Client.objects.filter(pk=client.pk).update(rate_limit=1_000)
    RateLimit.objects.update(arrival_at=Now())
    assert all(passes(OPEN, key) for _ in range(20))


def test_a_caller_knows_what_is_left() -> None:
    key = key_of()
    usages = [limited(10).authenticate(key, address=ADDRESS).usage for _ in range(3)]
    assert [usage and (usage.limit, usage.remaining) for usage in usages] == [
        (10, 9),
        (10, 8),
        (10, 7),
    ]


def test_anonymous_callers_are_limited_by_address() -> None:
    assert [passes(limited(2), None) for _ in range(3)] == [True, True, False]
    assert passes(limited(2), None, "192.0.2.8")


@pytest.mark.parametrize("key", ["mistyped", new_key()], ids=["mistyped", "unknown"])
def test_refused_keys_are_limited_by_address(key: str) -> None:
    assert [passes(limited(2), key) for _ in range(3)] == [True, True, False]


def test_anonymous_requests_and_refused_keys_share_a_limit() -> None:
    assert [passes(limited(2), key) for key in (None, "mistyped", None)] == [True, True, False]


def test_a_good_key_is_let_in_from_an_address_beyond_its_limit() -> None:
    key = key_of()
    assert [passes(limited(1), None) for _ in range(2)] == [True, False]
    assert passes(limited(1), key)


def test_a_refused_request_takes_nothing_from_the_client() -> None:
    client = ClientFactory(rate_limit=5)
    key = key_of(client)
    client.disable()
    assert [passes(OPEN, key) for _ in range(9)] == [True] * 9
    client.enable()
    assert [passes(OPEN, key) for _ in range(6)] == [True] * 5 + [False]


# A database that is down


@pytest.mark.django_db(transaction=True)
def test_without_the_database_nobody_with_a_key_is_let_in() -> None:
    key = key_of()
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(OperationalError):
        OPEN.authenticate(key, address=ADDRESS)
    connection.close()


# The factory


def test_the_authenticator_is_built_from_the_settings() -> None:
    authenticator.cache_clear()
    with override_settings(ANONYMOUS_ACCESS=False, RATE_LIMIT=1):
        built = authenticator()
    authenticator.cache_clear()
    assert not built.is_anonymous_allowed
    key = key_of()
    assert [passes(built, key) for _ in range(2)] == [True, False]


def test_a_scope_that_is_missing_is_named() -> None:
    caller = Caller(ClientFactory().pk, "web", frozenset({"task:read"}))
    caller.require(Scope.READ)
    with pytest.raises(ScopeMissing) as missing:
        caller.require(Scope.CANCEL)
    assert missing.value.scope is Scope.CANCEL


def test_an_anonymous_caller_has_no_scope() -> None:
    with pytest.raises(CredentialsRefused):
        Caller().require(Scope.READ)
