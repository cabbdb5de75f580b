"""`manage.py create_key` and `manage.py revoke_key`."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tasks.clients.authentication import Authenticator
from tasks.clients.exceptions import CredentialsRefused
from tasks.clients.keys import is_well_formed
from tasks.management.commands.create_key import lifetime
from tasks.models import ApiKey, Client, ClientEvent
from tests.environment import ROOT
from tests.factories import ClientFactory
from tests.tasks.clients.keys import key_of

pytestmark = pytest.mark.django_db

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; return its standard output."""

    def run(*arguments: str) -> str:
        call_command(*arguments)
        return capsys.readouterr().out

    return run


def is_let_in(key: str) -> bool:
    try:
        Authenticator(is_anonymous_allowed=False, rate_limit=None).authenticate(key, address="")
    except CredentialsRefused:
        return False
    return True


def test_the_key_is_all_that_is_printed(run: Run) -> None:
    output = run("create_key", "web", "--scope", "task:submit", "--scope", "task:read")
    assert output == f"{output.strip()}\n"
    assert is_well_formed(output.strip())
    assert is_let_in(output.strip())
    key = ApiKey.objects.get()
    assert (key.client.name, key.scopes, key.expires_at) == (
        "web",
        ["task:submit", "task:read"],
        None,
    )


def test_only_the_key_is_printed_whatever_the_settings_say(service_owner_url: str) -> None:
    """Nothing else goes to standard output, and what goes to standard error is no key."""
    done = subprocess.run(
        [sys.executable, "manage.py", "create_key", "quiet", "--scope=task:read"],
        cwd=ROOT,
        env=os.environ
        | {
            "ORCHESTRATOR_DATABASE_URL": service_owner_url,
            "ORCHESTRATOR_ENABLE_REFLEX_INTEGRATION": "false",
            "ORCHESTRATOR_LOG_LEVEL": "DEBUG",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert is_well_formed(done.stdout.removesuffix("\n"))
    assert done.stderr == "Made the client quiet.\n"


def test_the_client_is_made_once(run: Run) -> None:
    run("create_key", "web", "--scope", "task:read")
    # Names differ in more than upper and lower case.
    run("create_key", "WEB", "--scope", "task:submit")
    assert Client.objects.get().name == "web"
    assert ApiKey.objects.count() == 2
    kinds = list(ClientEvent.objects.values_list("kind", "actor"))
    assert kinds == [("added", ""), ("key_made", ""), ("key_made", "")]


def test_a_key_may_expire(run: Run) -> None:
    run("create_key", "web", "--scope", "task:read", "--expires-in", "90d")
    expires_at = ApiKey.objects.get().expires_at
    assert expires_at is not None
    assert abs(expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "duration"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("30m", timedelta(minutes=30))],
)
def test_a_lifetime_has_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert lifetime(text) == duration


@pytest.mark.parametrize(
    "text", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "90D", "999999d", "٣d"]
)
def test_other_lifetimes_are_refused(text: str, run: Run) -> None:
    with pytest.raises(CommandError, match="argument --expires-in"):
        run("create_key", "web", "--scope", "task:read", f"--expires-in={text}")
    assert not Client.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--scope", "task:write"], ["--scope", ""]])
def test_a_key_needs_known_scopes(arguments: list[str], run: Run) -> None:
    with pytest.raises(CommandError, match="--scope"):
        run("create_key", "web", *arguments)
    assert not Client.objects.exists()


@pytest.mark.parametrize("name", ["", " web", "web ", ".web", "a/b", "a\nb", "x" * 65, "ab\0"])
def test_a_client_needs_a_plain_name(name: str, run: Run) -> None:
    with pytest.raises(CommandError, match="A client's name has 1 to 64"):
        run("create_key", name, "--scope", "task:read")
    assert not Client.objects.exists()


def test_a_disabled_client_gets_no_key(run: Run) -> None:
    ClientFactory(name="web").disable()
    with pytest.raises(CommandError, match="The client web is disabled"):
        run("create_key", "web", "--scope", "task:read")
    assert not ApiKey.objects.exists()


# revoke_key


@pytest.mark.parametrize("form", ["{prefix}", "octollm_{prefix}", "{key}"])
def test_a_key_is_revoked_by_its_name(form: str, run: Run) -> None:
    client = ClientFactory(name="web")
    kept, key = key_of(client), key_of(client)
    given = form.format(prefix=key[8:16], key=key)
    output = run("revoke_key", given, "--reason", "it leaked")
    assert output == f"Revoked the key octollm_{key[8:16]}… of web.\n"
    assert (is_let_in(kept), is_let_in(key)) == (True, False)
    event = ClientEvent.objects.filter(kind="key_revoked").get()
    assert (event.actor, event.reason, event.data) == ("", "it leaked", {"key": key[8:16]})


def test_a_key_is_revoked_once(run: Run) -> None:
    key = key_of()
    run("revoke_key", key[8:16])
    with pytest.raises(CommandError, match="was revoked before"):
        run("revoke_key", key[8:16])
    assert ClientEvent.objects.filter(kind="key_revoked").count() == 1


@pytest.mark.parametrize("prefix", ["", "octollm_", "x", "aaaaaaaa"])
def test_an_unknown_key_is_not_revoked(prefix: str, run: Run) -> None:
    key_of()
    with pytest.raises(CommandError, match="There is no key"):
        run("revoke_key", prefix)


def test_the_secret_of_a_key_is_not_repeated(run: Run) -> None:
    key = key_of()
    with pytest.raises(CommandError) as refused:
        run("revoke_key", key.replace(key[8:16], "aaaaaaaa"))
    assert key[16:] not in str(refused.value)


# The role of the service


def test_the_service_changes_clients_and_cannot_delete_them(
    service_database_url: str, service_key: str
) -> None:
    with psycopg.connect(service_database_url) as connection:
        for table in ("clients", "api_keys", "client_events", "sign_ins"):
            assert may(connection, table, "INSERT")
            assert not may(connection, table, "DELETE")
        assert may(connection, "clients", "UPDATE")
        assert may(connection, "api_keys", "UPDATE")
        assert not may(connection, "client_events", "UPDATE")
        assert not may(connection, "sign_ins", "UPDATE")


def may(connection: "psycopg.Connection[Any]", table: str, privilege: str) -> bool:
    row = connection.execute("SELECT has_table_privilege(%s, %s)", [table, privilege]).fetchone()
    assert row is not None
    return bool(row[0])
