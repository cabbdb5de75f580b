"""The tables of clients: their verbs, and the rules that the database holds."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tasks.clients.exceptions import ClientDisabled
from tasks.clients.scopes import Scope
from tasks.models import ApiKey, Client, ClientEvent, IdempotencyKey, SignIn
from tasks.models.client import Limits
from tests.factories import ClientFactory, TaskFactory

pytestmark = pytest.mark.django_db


def trace(client: Client) -> list[tuple[Any, ...]]:
    return list(client.events.values_list("kind", "actor", "reason", "data"))


# Verbs


def test_adding_a_client_is_traced() -> None:
    client = Client.objects.add("web", actor="jane")
    assert trace(client) == [("added", "jane", "", {})]


@pytest.mark.parametrize("name", ["web", "WEB", "Web"])
def test_names_differ_in_more_than_case(name: str) -> None:
    Client.objects.add("web")
    with pytest.raises(ValidationError, match="There is a client with this name already"):
        Client.objects.add(name)
    with pytest.raises(IntegrityError, match="clients_name_once"):
        Client.objects.create(name=name)


@pytest.mark.parametrize("name", ["a", "Billing service", "eu-1.prod_2", "Zürich", "x" * 64])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert Client.objects.add(name).name == name


def test_making_a_key_is_traced_without_the_key() -> None:
    client = ClientFactory()
    expires_at = timezone.now()
    key = client.make_key([Scope.CANCEL, Scope.SUBMIT], expires_at=expires_at, actor="jane")
    [(kind, actor, reason, data)] = trace(client)
    assert (kind, actor, reason) == ("key_made", "jane", "")
    assert data == {
        "key": key[8:16],
        "scopes": ["task:submit", "task:cancel"],
        "expires_at": expires_at.isoformat(),
    }
    assert key[16:] not in str(data)


def test_only_the_digest_of_a_key_is_stored() -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ])
    row = ApiKey.objects.values().get()
    assert (row["prefix"], len(bytes(row["digest"]))) == (key[8:16], 32)
    assert key[16:] not in str(row)


def test_a_key_with_a_chosen_id_is_made_once() -> None:
    client, key_id = ClientFactory(), uuid.uuid4()
    client.make_key([Scope.READ], key_id=key_id)
    with pytest.raises(IntegrityError):
        client.make_key([Scope.READ], key_id=key_id)


def test_a_disabled_client_gets_no_key() -> None:
    client = ClientFactory()
    client.disable()
    with pytest.raises(ClientDisabled):
        client.make_key([Scope.READ])
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_once_and_traced() -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ])
    api_key = client.keys.get()
    done = [client.revoke_key(api_key, actor="jane", reason="leaked") for _ in range(2)]
    assert done == [True, False]
    assert trace(client)[1:] == [("key_revoked", "jane", "leaked", {"key": key[8:16]})]


def test_the_key_of_another_client_is_not_revoked() -> None:
    other = ClientFactory()
    other.make_key([Scope.READ])
    assert not ClientFactory().revoke_key(other.keys.get())
    assert other.keys.get().state == "valid"


def test_a_client_is_disabled_and_enabled_once_each() -> None:
    client = ClientFactory()
    assert [client.disable(actor="jane", reason="abuse") for _ in range(2)] == [True, False]
    assert [client.enable(actor="joe", reason="sorry") for _ in range(2)] == [True, False]
    assert trace(client) == [("disabled", "jane", "abuse", {}), ("enabled", "joe", "sorry", {})]


def test_changed_limits_are_traced_with_what_they_were() -> None:
    client = ClientFactory(rate_limit=5)
    done = [client.change_limits(Limits(None, 7), actor="jane") for _ in range(2)]
    assert done == [True, False]
    client.refresh_from_db()
    assert client.limits == Limits(None, 7)
    assert trace(client) == [
        (
            "limits",
            "jane",
            "",
            {
                "from": {"rate_limit": 5, "max_pending": None},
                "to": {"rate_limit": None, "max_pending": 7},
            },
        )
    ]


# Rules of the database


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("clients_rate_limit_in_range", {"rate_limit": 0}),
        ("clients_rate_limit_in_range", {"rate_limit": 1_000_001}),
        ("clients_max_pending_in_range", {"max_pending": -1}),
        ("clients_max_pending_in_range", {"max_pending": 100_001}),
    ],
)
def test_the_database_refuses_limits(constraint: str, fields: dict[str, int]) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        ClientFactory(**fields)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("api_keys_scopes_known", {"scopes": ["task:read", "task:write"]}),
        ("api_keys_digest_is_sha256", {"digest": b"short"}),
        ("api_keys_prefix_is_whole", {"prefix": "short"}),
    ],
)
def test_the_database_refuses_keys(constraint: str, fields: dict[str, Any]) -> None:
    good = {"prefix": "a" * 8, "digest": b"d" * 32, "scopes": ["task:read"]}
    with pytest.raises(IntegrityError, match=constraint):
        ApiKey.objects.create(client=ClientFactory(), **{**good, **fields})


@pytest.mark.parametrize("field", ["prefix", "digest"])
def test_two_keys_have_nothing_in_common(field: str) -> None:
    first = ApiKey(client=ClientFactory(), prefix="a" * 8, digest=b"d" * 32, scopes=[])
    first.save()
    second = {"prefix": "b" * 8, "digest": b"e" * 32, field: getattr(first, field)}
    with pytest.raises(IntegrityError, match=f"api_keys_{field}_once"):
        ApiKey.objects.create(client=first.client, scopes=[], **second)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"refused_for": [], "priority": "low"},
        {"refused_for": [], "has_task": True},
        {"has_task": True},
        {"has_task": True, "priority": "low", "reason": "x"},
    ],
)
def test_an_idempotency_key_has_one_answer(fields: dict[str, Any]) -> None:
    given = dict(fields)
    task = TaskFactory() if given.pop("has_task", False) else None
    with pytest.raises(IntegrityError, match="idempotency_keys_one_answer"):
        IdempotencyKey.objects.create(
            client=ClientFactory(),
            key_hmac=b"k",
            body_hmac=b"b",
            task=task,
            expires_at=timezone.now(),
            **given,
        )


def test_the_database_knows_the_outcomes_of_a_sign_in() -> None:
    with pytest.raises(IntegrityError, match="sign_ins_outcome_known"):
        SignIn.objects.create(outcome="maybe")


def test_the_database_knows_the_kinds_of_events() -> None:
    with pytest.raises(IntegrityError, match="client_events_kind_known"):
        ClientEvent.objects.create(client=ClientFactory(), kind="lunch")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE client_events SET reason = 'x'",
        "DELETE FROM client_events",
        "DELETE FROM client_events WHERE false",
    ],
)
def test_nobody_changes_the_trace(statement: str) -> None:
    Client.objects.add("web")
    with (
        pytest.raises(IntegrityError, match="events of clients are never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_nobody_empties_the_trace(service_database: Any) -> None:
    with pytest.raises(Exception, match="events of clients are never changed"):
        service_database.execute("TRUNCATE client_events")


def test_a_client_is_never_deleted() -> None:
    client = ClientFactory()
    with (
        pytest.raises(IntegrityError, match="clients are never deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM clients WHERE id = %s", [client.pk])
