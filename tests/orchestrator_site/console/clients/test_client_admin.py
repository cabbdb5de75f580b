"""What staff add and change on the console's pages of clients."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test import Client as Browser

from orchestrator_site.console.clients.client_admin import MAX_EVENTS
from tasks.clients.scopes import Scope
from tasks.models import ApiKey, Client, ClientEvent
from tasks.models.client import ClientEventKind
from tests.factories import ClientFactory
from tests.orchestrator_site.console.clients.client_pages import (
    CLIENTS,
    act,
    changes,
    changes_on,
    console_of,
    content,
    let_in,
    page_of,
    said,
)
from tests.postgresql import until_requests_wait

pytestmark = pytest.mark.django_db

ADD = f"{CLIENTS}add/"
SCRIPT = "<script>alert(1)</script>"
LIMITS = {"rate_limit": None, "max_pending": None}


@pytest.mark.parametrize("count", [1, 20])
def test_page_takes_the_same_queries_for_many_keys(
    count: int, console: Browser, django_assert_num_queries: Any
) -> None:
    client = ClientFactory()
    for _ in range(count):
        client.make_key([Scope.READ])
    # Session, user, permissions (2), client, figures, keys, events, pause.
    with django_assert_num_queries(9):
        console.get(page_of(client))


def test_added_client_has_the_limits_of_the_form(console: Browser) -> None:
    response = console.post(ADD, {"name": "reports", "rate_limit": "60", "max_pending": "0"})
    client = Client.objects.get()
    assert response["Location"] == page_of(client)
    assert said(response) == ["Added reports. Now make its first key."]
    assert (client.name, client.limits) == ("reports", (60, 0))


def test_added_client_leaves_its_trace(console: Browser) -> None:
    console.post(ADD, {"name": "reports", "max_pending": "7"})
    client = Client.objects.get()
    assert changes(client) == [("added", "ada", ""), ("limits", "ada", "")]


@pytest.mark.parametrize(
    "name", ["", " ", "_a", "a\nb", "a\0b", "a<b", SCRIPT, "x" * 65, "-", "\u202ereports"]
)
def test_bad_name_adds_no_client(name: str, console: Browser) -> None:
    page = content(console.post(ADD, {"name": name}))
    assert 'class="errorlist"' in page
    assert SCRIPT not in page
    assert not Client.objects.exists()


def test_taken_name_in_other_case_adds_no_client(console: Browser) -> None:
    ClientFactory(name="Reports")
    page = content(console.post(ADD, {"name": "rePORTS", "rate_limit": "5"}))
    assert "There is a client with this name already." in page
    assert 'value="5"' in page
    assert Client.objects.count() == 1
    assert not ClientEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_name_that_another_request_takes_meanwhile_adds_no_client(console: Browser) -> None:
    info = connection.get_connection_params()
    known = {name: info[name] for name in ("host", "port", "user", "dbname") if info.get(name)}

    def add() -> str:
        try:
            return content(console.post(ADD, {"name": "reports"}))
        finally:
            connections.close_all()

    with psycopg.connect(**known) as other, ThreadPoolExecutor(1) as threads:
        other.execute("INSERT INTO clients (id, name) VALUES (gen_random_uuid(), 'reports')")
        page = threads.submit(add)
        with psycopg.connect(**known, autocommit=True) as watching:
            until_requests_wait(watching)
        other.commit()
        assert "There is a client with this name already." in page.result(20)
    assert Client.objects.count() == 1


def test_revoked_key_is_refused(console: Browser) -> None:
    client = ClientFactory()
    lost, kept = client.make_key([Scope.READ]), client.make_key([Scope.READ])
    response = act(console, client, "revoke", key=lost[8:16], reason="lost")
    assert said(response) == [f"Revoked {lost[:16]}…."]
    assert (let_in(lost), let_in(kept)) == (False, True)
    assert changes(client)[2:] == [("key_revoked", "ada", "lost")]


def test_revoked_key_has_no_button_any_more(console: Browser) -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ])
    assert 'value="revoke"' in content(console.get(page_of(client)))
    act(console, client, "revoke", key=key[8:16], reason="lost")
    page = content(console.get(page_of(client)))
    assert 'value="revoke"' not in page
    assert "Revoked" in page


@pytest.mark.parametrize("prefix", ["", "00000000", "\0", "x" * 1000])
def test_unknown_key_is_not_revoked(prefix: str, console: Browser) -> None:
    client = ClientFactory()
    client.make_key([Scope.READ])
    response = act(console, client, "revoke", key=prefix, reason="lost")
    assert response["Location"] == page_of(client)
    assert len(said(response)) == 1
    assert not ApiKey.objects.exclude(revoked_at=None).exists()


def test_key_of_another_client_is_not_revoked(console: Browser) -> None:
    client = ClientFactory()
    key = ClientFactory().make_key([Scope.READ])
    response = act(console, client, "revoke", key=key[8:16], reason="lost")
    assert said(response) == ["The client has no such key."]
    assert let_in(key)


def test_disabled_client_is_refused_with_all_its_keys(console: Browser) -> None:
    client = ClientFactory()
    keys = [client.make_key([Scope.READ]) for _ in range(2)]
    response = act(console, client, "disable", reason="misuse")
    assert said(response) == [f"Disabled {client}, with all its keys."]
    assert [let_in(key) for key in keys] == [False, False]
    assert changes(client)[2:] == [("disabled", "ada", "misuse")]


def test_enabled_client_is_let_in_again(console: Browser) -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ])
    client.disable()
    response = act(console, client, "enable", reason="talked to them")
    assert said(response) == [f"Enabled {client}."]
    assert let_in(key)
    assert changes(client)[2:] == [("enabled", "ada", "talked to them")]


STEPS = ["revoke", "disable", "enable"]


@pytest.fixture
def ready(request: pytest.FixtureRequest) -> tuple[str, Client, str]:
    """A step, a client in the state before it, and a key of the client."""
    step = request.param
    client = ClientFactory()
    key = client.make_key([Scope.READ])[8:16]
    if step == "enable":
        client.disable()
    return step, client, key


@pytest.mark.parametrize("ready", STEPS, indirect=True)
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "Give a reason."),
        (" ", "Give a reason."),
        ("a\0b", "Null characters are not allowed."),
        ("x" * 501, "Ensure this value has at most 500 characters (it has 501)."),
    ],
)
def test_step_without_a_good_reason_changes_nothing(
    reason: str, told: str, ready: tuple[str, Client, str], console: Browser
) -> None:
    step, client, key = ready
    before = changes(client)
    assert said(act(console, client, step, key=key, reason=reason)) == [told]
    assert changes(client) == before


@pytest.mark.parametrize("ready", STEPS, indirect=True)
def test_step_taken_twice_leaves_one_trace(
    ready: tuple[str, Client, str], console: Browser
) -> None:
    step, client, key = ready
    act(console, client, step, key=key, reason="first")
    before = changes(client)
    response = act(console, client, step, key=key, reason="second")
    assert said(response)[-1] == "That was done before."
    assert changes(client) == before


def test_changed_limits_leave_their_trace(console: Browser) -> None:
    client = ClientFactory(rate_limit=5)
    response = act(console, client, "limits", rate_limit="", max_pending="9")
    assert said(response) == ["Limits changed."]
    client.refresh_from_db()
    assert client.limits == (None, 9)
    assert changes(client) == [("limits", "ada", "")]
    assert ClientEvent.objects.get().data == {
        "from": {"rate_limit": 5, "max_pending": None},
        "to": {"rate_limit": None, "max_pending": 9},
    }


def test_unchanged_limits_leave_no_trace(console: Browser) -> None:
    client = ClientFactory(rate_limit=5)
    response = act(console, client, "limits", rate_limit="5", max_pending="")
    assert said(response) == ["The limits are the same as before."]
    assert changes(client) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate_limit", "0"),
        ("rate_limit", "-1"),
        ("rate_limit", "1000001"),
        ("rate_limit", "1.5"),
        ("rate_limit", "9" * 5000),
        ("rate_limit", "\0"),
        ("max_pending", "-1"),
        ("max_pending", "100001"),
        ("max_pending", "many"),
    ],
)
def test_bad_limit_changes_nothing(field: str, value: str, console: Browser) -> None:
    client = ClientFactory(rate_limit=5)
    assert "errorlist" in content(act(console, client, "limits", **{field: value}))
    client.refresh_from_db()
    assert client.limits == (5, None)


def test_page_lists_the_changes_with_actor_and_reason(console: Browser) -> None:
    client = ClientFactory()
    key = client.make_key([Scope.SUBMIT, Scope.READ])[:16]
    client.disable(actor="eve", reason=SCRIPT)
    client.change_limits(client.limits._replace(rate_limit=1200), actor="eve")
    assert changes_on(content(console.get(page_of(client)))) == [
        ("Limits: those of the service → 1,200 requests a minute", "eve", ""),
        ("Disabled", "eve", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        (f"Key {key}… made without an end: task:submit, task:read", "command line", ""),
    ]


def test_page_says_when_older_changes_are_left_out(console: Browser) -> None:
    client = ClientFactory()
    for _ in range(MAX_EVENTS):
        client.note(ClientEventKind.LIMITS, actor="eve", data={"from": LIMITS, "to": LIMITS})
    page = content(console.get(page_of(client)))
    assert page.count("<bdi>eve</bdi>") == MAX_EVENTS
    assert "Older changes" not in page
    client.note(ClientEventKind.ENABLED, actor="ada")
    page = content(console.get(page_of(client)))
    assert page.count("<bdi>eve</bdi>") == MAX_EVENTS - 1
    assert "Older changes are not shown." in page


@pytest.mark.parametrize(
    "change", ["UPDATE client_events SET actor = 'x'", "DELETE FROM client_events"]
)
def test_trace_cannot_be_changed(change: str, console: Browser) -> None:
    act(console, ClientFactory(), "disable", reason="misuse")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_page_links_to_the_tasks_and_receipts_of_the_client(console: Browser) -> None:
    client = ClientFactory()
    page = content(console.get(page_of(client)))
    assert f'href="/admin/tasks/task/?client={client.pk}"' in page
    refused = f"client={client.pk}&amp;verdict__exact=blocked&amp;occasion__exact=submission"
    assert f'href="/admin/safety/receipt/?{refused}"' in page


def test_page_links_to_nothing_that_staff_may_not_open() -> None:
    client = ClientFactory()
    page = content(console_of("manage_client").get(page_of(client)))
    assert "?client=" not in page


@pytest.mark.parametrize("step", ["", "delete", "make_key\0"])
def test_unknown_step_is_refused(step: str, console: Browser) -> None:
    assert act(console, ClientFactory(), step, reason="x").status_code == 400


@pytest.mark.parametrize(
    "client_id", [str(UUID(int=1)), "x", "%00", "1"], ids=["unknown", "no id", "NUL", "a number"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_client_leads_to_the_list(method: str, client_id: str, console: Browser) -> None:
    response = getattr(console, method)(f"{CLIENTS}{client_id}/change/")
    assert response["Location"] == CLIENTS
    assert said(response) == ["There is no such client."]


@pytest.mark.parametrize("path", [CLIENTS, ADD])
@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_the_permission_open_no_page(method: str, path: str) -> None:
    console = console_of("view_task", "view_receipt", "operate_task", "view_signin")
    assert getattr(console, method)(path, {"name": "reports"}).status_code == 403
    assert not Client.objects.exists()


@pytest.mark.parametrize("step", ["make_key", "limits", *STEPS])
def test_staff_without_the_permission_take_no_step(step: str) -> None:
    client = ClientFactory()
    key = client.make_key([Scope.READ])[8:16]
    before = changes(client)
    console = console_of("view_task", "view_receipt", "operate_task", "view_signin")
    form = {"key_id": uuid4(), "scopes": ["task:read"], "key": key, "reason": "x"}
    assert act(console, client, step, rate_limit="9", **form).status_code == 403
    assert changes(client) == before


@pytest.mark.parametrize("codenames", [["manage_client"], []])
def test_no_request_deletes_a_client(codenames: list[str]) -> None:
    client = ClientFactory()
    console = console_of(*codenames)
    body = {"action": "delete_selected", "_selected_action": str(client.pk), "post": "yes"}
    console.post(CLIENTS, body)
    assert console.post(f"{CLIENTS}{client.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Client.objects.exists()
