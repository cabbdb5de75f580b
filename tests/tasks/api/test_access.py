"""Who may send which request: every endpoint, for every kind of caller, with keys and tokens."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

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
from tests.issuer import AUDIENCE, Issuer
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


class Credentials(Protocol):
    """Makes clients, and what they show to be let in."""

    def client(self) -> Client:
        """Return a new client."""

    def of(self, client: Client, *scopes: Scope) -> str:
        """Return a key or token with these scopes, and no others."""

    def bad(self, client: Client, cause: str) -> str:
        """Return a key or token that is not good, for one of `CAUSES`."""


CAUSES = ("disabled", "malformed", "unknown", "ended")


class Keys:
    def client(self) -> Client:
        client: Client = ClientFactory()
        return client

    def of(self, client: Client, *scopes: Scope) -> str:
        return client.make_key(scopes)

    def bad(self, client: Client, cause: str) -> str:
        key = self.of(client, *Scope)
        match cause:
            case "disabled":
                client.disable()
            case "ended":
                client.revoke_key(client.keys.get())
            case "malformed":
                return f"{key[:-1]}!"
            case "unknown":
                return new_key()
        return key


class Tokens:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def client(self) -> Client:
        client: Client = ClientFactory(issuer=self._issuer.url, subject=uuid.uuid4().hex)
        return client

    def of(self, client: Client, *scopes: Scope) -> str:
        return self._sign(client, scope=" ".join(scopes))

    def bad(self, client: Client, cause: str) -> str:
        match cause:
            case "disabled":
                client.disable()
            case "ended":
                return self._sign(client, exp=1)
            case "malformed":
                return f"{self._sign(client)[:-9]}!"
            case "unknown":
                return self._sign(client, headers={"kid": "unknown"})
        return self._sign(client)

    def _sign(self, client: Client, **changes: Any) -> str:
        return self._issuer.sign(sub=client.subject, **{"scope": " ".join(Scope)} | changes)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(params=["keys", "tokens"])
def credentials(request: Any, settings: Any, issuer: Issuer) -> Iterator[Credentials]:
    settings.JWT_ISSUER, settings.JWT_AUDIENCE = issuer.url, AUDIENCE
    authenticator.cache_clear()
    yield Keys() if request.param == "keys" else Tokens(issuer)
    authenticator.cache_clear()


@pytest.fixture
def owner(credentials: Credentials) -> Client:
    return credentials.client()


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
def test_without_scopes_a_client_may_only_ask_about_itself(
    endpoint: Endpoint, send: Send, owner: Client, credentials: Credentials
) -> None:
    response = send(endpoint, credentials.of(owner))
    if endpoint.scope is None:
        assert response.status_code == 200
    else:
        assert refused_for(response, endpoint.scope)


@pytest.mark.parametrize("scope", Scope)
@guarded
def test_a_scope_allows_what_it_says(
    endpoint: Endpoint, scope: Scope, send: Send, owner: Client, credentials: Credentials
) -> None:
    response = send(endpoint, credentials.of(owner, scope))
    if endpoint.scope in (None, scope):
        assert response.status_code == 200
    else:
        assert refused_for(response, endpoint.scope)


@guarded
def test_another_client_finds_no_task(
    endpoint: Endpoint, send: Send, task: Task, credentials: Credentials
) -> None:
    response = send(endpoint, credentials.of(credentials.client(), *Scope))
    if endpoint.is_of_task:
        assert (response.status_code, response.json()) == (404, NOT_FOUND)
    else:
        assert response.status_code == 200
        assert str(task.pk) not in response.content.decode()
    task.refresh_from_db()
    assert task.status == "pending"


@pytest.mark.parametrize("cause", CAUSES)
@guarded
def test_what_is_not_good_is_refused_everywhere_in_the_same_way(
    endpoint: Endpoint, cause: str, send: Send, owner: Client, credentials: Credentials
) -> None:
    response = send(endpoint, credentials.bad(owner, cause))
    assert (response.status_code, response.json()) == (401, UNAUTHENTICATED)
    assert response["WWW-Authenticate"] == "Bearer"
    assert Task.objects.count() == 1
    assert not Receipt.objects.exists()


@pytest.mark.usefixtures("without_anonymous_access")
@guarded
def test_without_anonymous_access_every_request_needs_a_key_or_token(
    endpoint: Endpoint, send: Send, owner: Client, credentials: Credentials
) -> None:
    response = send(endpoint)
    assert (response.status_code, response.json()) == (401, UNAUTHENTICATED)
    assert send(endpoint, credentials.of(owner, *Scope)).status_code == 200


@pytest.mark.parametrize("kind", ["anonymous", "mistyped", "without scopes", "good"])
@guarded
def test_a_browser_gets_a_page_with_the_same_answer(
    endpoint: Endpoint, kind: str, send: Send, owner: Client, credentials: Credentials
) -> None:
    shown = {
        "anonymous": "",
        "mistyped": "octollm_x",
        "without scopes": credentials.of(owner),
        "good": credentials.of(owner, *Scope),
    }
    page = send(endpoint, shown[kind], Accept="text/html")
    answer = send(endpoint, shown[kind])
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
    endpoint: Endpoint, send: Send, credentials: Credentials
) -> None:
    if not endpoint.is_of_task:
        return
    anonymous, client = TaskFactory(), credentials.client()
    # Whatever the key or token may do.
    shown = ["", credentials.of(client, Scope.SUBMIT), credentials.of(client, *Scope)]
    statuses = [send(endpoint, each, anonymous).status_code for each in shown]
    assert statuses == ([200] * 3 if endpoint.scope is Scope.READ else [401, 403, 404])


@pytest.mark.usefixtures("without_anonymous_access")
@guarded
def test_without_anonymous_access_anonymous_tasks_are_for_the_console_only(
    endpoint: Endpoint, send: Send, owner: Client, credentials: Credentials
) -> None:
    if endpoint.is_of_task:
        assert send(endpoint, credentials.of(owner, *Scope), TaskFactory()).status_code == 404


def test_a_submission_belongs_to_the_client_that_sends_it(
    send: Send, owner: Client, credentials: Credentials
) -> None:
    response = send(GUARDED[0], credentials.of(owner, Scope.SUBMIT))
    task = Task.objects.get(pk=response.json()["task_id"])
    assert (task.client_id, Receipt.objects.get().client_id) == (owner.pk, owner.pk)


def test_a_submission_without_a_key_or_token_belongs_to_nobody(send: Send) -> None:
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
