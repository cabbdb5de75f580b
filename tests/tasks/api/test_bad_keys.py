"""Keys as they should not come, most of them as raw bytes, against the running service."""

import pytest

from tests.service import Service
from tests.tasks.api.test_bad_requests import exchange, head

UNAUTHENTICATED = (
    401,
    {
        "detail": "A valid API key or token is needed: send it as Authorization: Bearer <key or "
        "token>."
    },
)
AMBIGUOUS = (
    400,
    {"detail": "Send one API key or token, in one Authorization or X-API-Key header."},
)
IN_URL = (
    400,
    {
        "detail": "An API key or token does not belong in a URL, where others may see it: revoke "
        "it, and send a new one in the Authorization header."
    },
)
OTHER = "octollm_" + "a" * 57


def answer(service: Service, *headers: str, path: str = "/client") -> tuple[int, object]:
    return exchange(service, head(f"GET {path}", *headers)).pair


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer {key}",
        "authorization: bearer {key}",
        "Authorization: BEARER   {key}  ",
        "X-API-Key: {key}",
        "x-api-key:{key}",
    ],
)
def test_a_key_may_come_in_either_header(header: str, service: Service, service_key: str) -> None:
    status, _ = answer(service, header.format(key=service_key))
    assert status == 200


def test_the_same_key_may_come_in_both_headers(service: Service, service_key: str) -> None:
    status, _ = answer(service, f"Authorization: Bearer {service_key}", f"X-API-Key: {service_key}")
    assert status == 200


@pytest.mark.parametrize(
    "headers",
    [
        ("Authorization: Bearer {key}", "Authorization: Bearer {key}"),
        ("Authorization: Bearer {key}", f"Authorization: Bearer {OTHER}"),
        ("Authorization: Bearer {key}", "Authorization: Basic YTpi"),
        ("Authorization: Bearer {key}", f"X-API-Key: {OTHER}"),
        ("X-API-Key: {key}", f"X-API-Key: {OTHER}"),
        ("Authorization: Basic YTpi", "X-API-Key: {key}"),
    ],
)
def test_two_keys_are_refused(headers: tuple[str, ...], service: Service, service_key: str) -> None:
    sent = [header.format(key=service_key) for header in headers]
    assert answer(service, *sent) == AMBIGUOUS


@pytest.mark.parametrize(
    "header",
    [
        "Authorization:",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: {key}",
        "Authorization: Token {key}",
        "Authorization: Basic YTpi",
        "Authorization: Bearer {key}x",
        "Authorization: Bearer {key} {key}",
        "Authorization: Bearer x{key}",
        f"Authorization: Bearer {OTHER}",
        # Latin-1, since raw bytes above it are no header.
        "Authorization: Bearer ümläut",
        "X-API-Key:",
        "X-API-Key: Bearer {key}",
    ],
)
def test_what_is_no_key_is_refused(header: str, service: Service, service_key: str) -> None:
    # Also where anonymous callers may submit: the sender believes to have a key.
    assert answer(service, header.format(key=service_key)) == UNAUTHENTICATED


def test_a_key_of_10_kb_is_refused(service: Service) -> None:
    # gunicorn refuses a header line above its limit; below it, we do.
    assert answer(service, f"X-API-Key: {'a' * 8_000}") == UNAUTHENTICATED
    assert exchange(service, head("GET /client", f"X-API-Key: {'a' * 10_000}")).status == 431


def test_a_key_with_a_nul_is_refused(service: Service) -> None:
    assert b" 400 " in service.raw(head("GET /client", "X-API-Key: a\0b")).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "query",
    [
        "api_key={key}",
        "key={key}",
        "{key}",
        "{key}=x",
        "x={key}&limit=5",
        "token=Bearer%20{key}",
        "cursor={key}",
        "status={key}",
        # With a wrong checksum it may still be a key that somebody mistyped.
        f"x={OTHER}",
    ],
)
@pytest.mark.parametrize("path", ["/tasks", "/client", "/tasks/x", "/tasks/x/events"])
def test_a_key_in_a_url_is_refused_and_quoted_nowhere(
    path: str, query: str, service: Service, service_key: str
) -> None:
    url = f"{path}?{query.format(key=service_key)}"
    assert answer(service, f"Authorization: Bearer {service_key}", path=url) == IN_URL
    log = service.log.read_text()
    assert service_key not in log
    assert OTHER not in log


def test_a_key_in_the_url_of_a_submission_submits_nothing(
    service: Service, service_key: str
) -> None:
    response = service.request("POST", f"/submit?api_key={service_key}", json={"goal": "Plan"})
    assert (response.status_code, response.json()) == IN_URL


def test_a_key_in_a_path_is_quoted_nowhere(service: Service, service_key: str) -> None:
    response = service.get(f"/tasks/{service_key}")
    assert (response.status_code, response.json()) == (404, {"detail": "Task not found"})
    assert service_key not in service.log.read_text()


def test_a_key_as_a_name_in_a_body_is_not_quoted(service: Service, service_key: str) -> None:
    response = service.submit({"goal": "Plan", service_key: 1})
    assert response.status_code == 400
    assert service_key not in response.text


def test_a_key_in_a_goal_is_refused_by_the_gate(service: Service, service_key: str) -> None:
    for goal in (f"Call it with {service_key}", f"x{service_key}y", f"key={service_key}.", OTHER):
        response = service.submit({"goal": goal})
        assert (response.status_code, response.json()) == (
            403,
            {"detail": "Safety check failed: PII detected in input"},
        )
