"""Who may send which request: every endpoint, for every kind of caller."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.test import Client as Browser
from django.urls import get_resolver

from safety.models import Receipt
from tasks.clients.authentication import authenticator
from tasks.clients.keys import new_key
from tasks.clients.scopes import Scope
from tasks.models import Client, Task
from tests.environment import ROOT
from tests.factories import ClientFactory, TaskFactory
from tests.tasks.clients.keys import bearer, key_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reflex_layer")]

BODY = {"goal": "Analyze sentiment of user reviews"}
UNAUTHENTICATED = {
    "detail": "A valid API key or token is needed: send it as Authorization: Bearer <key or token>."
}
NOT_FOUND = {"detail": "Task not found"}
# All routes, those of the console as one.
ROUTE = re.compile(r"<str:(\w+)>")


class Endpoint(NamedTuple):
    """A request, the scope that it needs, and whether it needs none for anonymous callers.

    Attributes:
        scope: None for any key.
        is_open: whether anonymous callers may send it.
        is_of_task: whether it names a task, which is the owner's.
    """

    name: str
    scope: Scope | None
    is_open: bool = False
    is_of_task: bool = False


# The requests for which it matters who sends them.
GUARDED = (
    Endpoint("POST /submit", Scope.SUBMIT, is_open=True),
    Endpoint("POST /submit?dry_run=true", Scope.DRY_RUN),
    Endpoint("GET /tasks", Scope.READ),
    Endpoint("GET /tasks/{task_id}", Scope.READ, is_of_task=True),
    Endpoint("GET /tasks/{task_id}/events", Scope.READ, is_of_task=True),
    Endpoint("POST /tasks/{task_id}/cancel", Scope.CANCEL, is_of_task=True),
    Endpoint("GET /client", None),
)
# The others need nothing, or a sign-in to the console.
OPEN = ("GET /", "GET /health", "GET /ready", "GET /metrics", "GET /schema", "GET /docs")
CONSOLE = "/admin/"

guarded = pytest.mark.parametrize("endpoint", GUARDED, ids=lambda endpoint: endpoint.name)


@pytest.fixture
def owner() -> Client:
    client: Client = ClientFactory()
    return client


@pytest.fixture
def task(owner: Client) -> Task:
    task: Task = TaskFactory(client=owner)
    return task


@pytest.fixture
def without_anonymous_access(settings: Any) -> Iterator[None]:
    settings.ANONYMOUS_ACCESS = False
    authenticator.cache_clear()
    yield
    authenticator.cache_clear()


Send = Callable[..., Any]


@pytest.fixture
def send(client: Browser, task: Task) -> Send:
    """Send the request of an endpoint, about the owner's task by default."""

    def send(endpoint: Endpoint, key: str = "", about: Task = task, **more: str) -> Any:
        method, path = endpoint.name.split()
        url = path.replace("{task_id}", str(about.pk))
        headers = {**(bearer(key) if key else {}), **more}
        if method == "GET":
            return client.get(url, headers=headers)
        body = "" if endpoint.is_of_task else BODY
        return client.post(url, body, content_type="application/json", headers=headers)

    return send


def refused_for(response: Any, scope: Scope) -> bool:
    return (response.status_code, response.json(), response.headers.get("WWW-Authenticate")) == (
        403,
        {"detail": f"This key or token lacks the scope {scope.value}."},
        f'Bearer error="insufficient_scope", scope="{scope.value}"',
    )


@guarded
def test_an_anonymous_caller_gets_in_only_where_nothing_is_needed(
    endpoint: Endpoint, send: Send
) -> None:
    response = send(endpoint)
    if endpoint.is_open:
        assert response.status_code == 200
    elif endpoint.is_of_task and endpoint.scope is Scope.READ:
        # The task of a client does not exist for others.
        assert (response.status_code, response.json()) == (404, NOT_FOUND)
    else:
        assert (response.status_code, response.json()) == (401, UNAUTHENTICATED)
        assert response["WWW-Authenticate"] == "Bearer"


@guarded
def test_a_key_without_scopes_may_only_ask_about_itself(
    endpoint: Endpoint, send: Send, owner: Client
) -> None:
    response = send(endpoint, owner.make_key([]))
    if endpoint.scope is None:
        assert response.status_code == 200
    else:
        assert refused_for(response, endpoint.scope)


@pytest.mark.parametrize("scope", Scope)
@guarded
def test_a_key_may_do_what_its_scope_says(
    endpoint: Endpoint, scope: Scope, send: Send, owner: Client
) -> None:
    response = send(endpoint, key_of(owner, scope))
    if endpoint.scope in (None, scope):
        assert response.status_code == 200
    else:
        assert refused_for(response, endpoint.scope)


@guarded
def test_another_client_finds_no_task(endpoint: Endpoint, send: Send, task: Task) -> None:
    response = send(endpoint, key_of())
    if endpoint.is_of_task:
        assert (response.status_code, response.json()) == (404, NOT_FOUND)
    else:
        assert response.status_code == 200
        assert str(task.pk) not in response.content.decode()
    task.refresh_from_db()
    assert task.status == "pending"


@pytest.mark.parametrize("cause", ["revoked", "disabled", "mistyped", "unknown"])
@guarded
def test_a_key_that_is_not_good_is_refused_everywhere_in_the_same_way(
    endpoint: Endpoint, cause: str, send: Send, owner: Client
) -> None:
    key = key_of(owner)
    match cause:
        case "revoked":
            owner.revoke_key(owner.keys.get())
        case "disabled":
            owner.disable()
        case "mistyped":
            key = f"{key[:-1]}!"
        case "unknown":
            key = new_key()
    response = send(endpoint, key)
    assert (response.status_code, response.json()) == (401, UNAUTHENTICATED)
    assert response["WWW-Authenticate"] == "Bearer"
    assert Task.objects.count() == 1
    assert not Receipt.objects.exists()


@pytest.mark.usefixtures("without_anonymous_access")
@guarded
def test_without_anonymous_access_every_request_needs_a_key(
    endpoint: Endpoint, send: Send, owner: Client
) -> None:
    response = send(endpoint)
    assert (response.status_code, response.json()) == (401, UNAUTHENTICATED)
    assert send(endpoint, key_of(owner)).status_code == 200


@pytest.mark.parametrize("kind", ["anonymous", "mistyped", "without scopes", "good"])
@guarded
def test_a_browser_gets_a_page_with_the_same_answer(
    endpoint: Endpoint, kind: str, send: Send, owner: Client
) -> None:
    keys = {
        "anonymous": "",
        "mistyped": "octollm_x",
        "without scopes": owner.make_key([]),
        "good": key_of(owner),
    }
    page = send(endpoint, keys[kind], Accept="text/html")
    answer = send(endpoint, keys[kind])
    assert (page.status_code, page["Content-Type"]) == (
        answer.status_code,
        "text/html; charset=utf-8",
    )


@pytest.mark.parametrize("path", ["/submit", "/submit?dry_run=true", "/submit?dry_run=x"])
@pytest.mark.usefixtures("without_anonymous_access")
def test_everybody_may_see_the_form_of_a_submission(path: str, client: Browser) -> None:
    assert client.get(path, headers={"Accept": "text/html"}).status_code == 200


# Anonymous tasks


@guarded
def test_everybody_may_read_an_anonymous_task_and_no_client_may_cancel_it(
    endpoint: Endpoint, send: Send
) -> None:
    if not endpoint.is_of_task:
        return
    anonymous = TaskFactory()
    # Whatever the key may do.
    keys = ["", key_of(None, Scope.SUBMIT), key_of()]
    statuses = [send(endpoint, key, anonymous).status_code for key in keys]
    assert statuses == ([200] * 3 if endpoint.scope is Scope.READ else [401, 403, 404])


@pytest.mark.usefixtures("without_anonymous_access")
@guarded
def test_without_anonymous_access_anonymous_tasks_are_for_the_console_only(
    endpoint: Endpoint, send: Send
) -> None:
    if endpoint.is_of_task:
        assert send(endpoint, key_of(), TaskFactory()).status_code == 404


def test_a_submission_with_a_key_belongs_to_its_client(send: Send, owner: Client) -> None:
    response = send(GUARDED[0], key_of(owner, Scope.SUBMIT))
    task = Task.objects.get(pk=response.json()["task_id"])
    assert (task.client_id, Receipt.objects.get().client_id) == (owner.pk, owner.pk)


def test_a_submission_without_a_key_belongs_to_nobody(send: Send) -> None:
    response = send(GUARDED[0])
    task = Task.objects.get(pk=response.json()["task_id"])
    assert (task.client_id, Receipt.objects.get().client_id) == (None, None)


# Nothing is missing here


def routes() -> set[str]:
    """The paths of all endpoints, as the documents write them."""
    resolvers = [get_resolver(), get_resolver("tasks.api.urls")]
    patterns = [pattern for resolver in resolvers for pattern in resolver.url_patterns]
    # `/admin` only redirects to `/admin/`.
    return {"/" + ROUTE.sub(r"{\1}", str(pattern.pattern)) for pattern in patterns} - {"/admin"}


def test_every_endpoint_is_in_these_tests() -> None:
    named = [endpoint.name for endpoint in GUARDED] + list(OPEN)
    paths = {name.split()[1].partition("?")[0] for name in named}
    assert paths | {CONSOLE} == routes()


def test_every_endpoint_is_in_the_table_of_the_documents() -> None:
    table = re.findall(
        r"^\| `([A-Z]+) (/\S*)` \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE
    )
    documented = {f"{method} {path}" for method, path in table}
    wanted = {endpoint.name for endpoint in GUARDED} | {*OPEN, f"GET {CONSOLE}"}
    assert documented == wanted


@pytest.mark.parametrize("name", OPEN)
def test_an_open_endpoint_needs_nothing(name: str, client: Browser) -> None:
    assert client.get(name.split()[1]).status_code in (200, 503)


def test_an_unknown_task_is_not_found_with_any_key(client: Browser) -> None:
    response = client.get(f"/tasks/{uuid.uuid4()}", headers=bearer(key_of()))
    assert (response.status_code, response.json()) == (404, NOT_FOUND)
