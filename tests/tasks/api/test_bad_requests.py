"""Invalid requests, most of them as raw bytes, against the running service."""

import http.client
import io
import json
import re
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.service import ANSWER_SECONDS, Service

GOOD = b'{"goal": "Analyze sentiment of user reviews"}'
MAX_BODY_BYTES = 1_048_576
NOT_FOUND = {"detail": "Not found. The API is described at /docs."}
NO_PARAMETER = "Unknown parameter. There are none here."
TRAILING_SLASH = "Not found. Use %s, without a slash at the end. The API is described at /docs."
OTHER_TYPE = {"detail": "Send the body as application/json, and say so in Content-Type."}
TASK_NOT_FOUND = {"detail": "Task not found"}
NOT_ACCEPTABLE = {"detail": "Could not satisfy the request Accept header."}
HOST = {
    "detail": "This Host is not served here. To serve it, add it to ORCHESTRATOR_ALLOWED_HOSTS."
}
CHARSET = {"detail": "The body must be UTF-8, and its charset parameter must say so."}
ENCODED = {"detail": "A Content-Encoding is not supported: send plain JSON."}
CHUNKED = {"detail": "Send the body with a Content-Length header, not in chunks."}
BROKE_OFF = {"detail": "The body broke off before its end."}
TOO_LARGE = {"detail": "The body is too large: at most 1048576 bytes are allowed."}


class Answer:
    """The final answer in the received data, after any `100 Continue`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # The only method of a socket that HTTPResponse calls.
        peer = SimpleNamespace(makefile=lambda _: io.BytesIO(data))
        response = http.client.HTTPResponse(cast(socket.socket, peer))
        # Skips `100 Continue`.
        response.begin()
        self.status = response.status
        self.headers = response.headers
        self.content = response.read()

    @property
    def pair(self) -> tuple[int, Any]:
        """The status, and the body as JSON."""
        assert re.fullmatch("[A-Za-z0-9_-]{1,64}", self.headers["X-Request-ID"])
        return self.status, json.loads(self.content)


def exchange(service: Service, data: bytes) -> Answer:
    return Answer(service.raw(data))


def head(
    request_line: str = "POST /submit", *headers: str, host: str | None = "localhost"
) -> bytes:
    """Return the request line and the headers of a request."""
    lines = [f"{request_line} HTTP/1.1", *headers]
    if host is not None:
        lines.append(f"Host: {host}")
    return "\r\n".join([*lines, "Connection: close", "\r\n"]).encode("latin-1")


def post(service: Service, *headers: str, body: bytes = GOOD) -> Answer:
    """Submit `body`. `headers` replace the usual ones, and `Name: -` leaves one out."""
    given = {header.split(":")[0] for header in headers}
    usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    missing = [f"{name}: {value}" for name, value in usual.items() if name not in given]
    named = [header for header in (*headers, *missing) if not header.endswith(": -")]
    return exchange(service, head("POST /submit", *named) + body)


@pytest.fixture(scope="module", autouse=True)
def _service_survives(service: Service) -> Iterator[None]:
    """After all tests here, the service works and its log is JSON without unexpected errors."""
    seen = len(service.log_lines())
    yield
    assert service.get("/health").json() == {"status": "healthy"}
    messages = {line["message"] for line in service.log_lines()[seen:]}
    # The service and gunicorn log these messages for unexpected exceptions.
    assert messages & {"Internal error", "Error handling request"} == set()


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        (
            ["Content-Type: -"],
            415,
            OTHER_TYPE,
        ),
        (
            ["Content-Type: text/plain"],
            415,
            OTHER_TYPE,
        ),
        (
            ["Content-Type: application/x-www-form-urlencoded"],
            415,
            OTHER_TYPE,
        ),
        # A form in a browser sends this; the service never reads its parts.
        (
            ["Content-Type: multipart/form-data; boundary=x"],
            415,
            OTHER_TYPE,
        ),
        (
            ["Content-Type: application/merge-patch+json"],
            415,
            OTHER_TYPE,
        ),
        (["Content-Type: application/json; charset=latin-1"], 400, CHARSET),
        (["Content-Type: application/json; charset=utf-16"], 400, CHARSET),
        (["Content-Type: application/json; charset=no-such"], 400, CHARSET),
        # This Python codec converts bytes to bytes, not to text.
        (["Content-Type: application/json; charset=hex"], 400, CHARSET),
        (["Content-Encoding: gzip"], 415, ENCODED),
        (["Content-Encoding: br"], 415, ENCODED),
        (["Accept: image/png"], 406, NOT_ACCEPTABLE),
        (["Accept: application/xml"], 406, NOT_ACCEPTABLE),
        (["Accept: ;"], 406, NOT_ACCEPTABLE),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_unsupported_header_is_refused(
    headers: list[str], status: int, expected: Any, service: Service
) -> None:
    assert post(service, *headers).pair == (status, expected)


# Django decodes the query string with the charset of the body, which may name any Python codec.
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/?a=%2F", "application/json; charset=hex"),
        ("/?a=%2F", "application/json; charset=idna"),
        # Django decodes it before the code runs that turns exceptions into a 400.
        ("/?" + "&" * 2000, "application/json; charset=utf-8"),
        ("/health", "application/json; charset*=no-such''%41"),
    ],
)
def test_unusual_charset_gets_no_500(path: str, content_type: str, service: Service) -> None:
    assert service.get(path, headers={"Content-Type": content_type}).status_code < 500


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: application/json; charset=utf-8",
        'Content-Type: APPLICATION/JSON; Charset="UTF-8"',
        "Content-Encoding: identity",
        "Accept: */*",
        "Accept: application/json, text/plain",
        "Accept: text/plain, */*;q=nonsense",
        "Expect: 100-continue",
        "X-Long: " + "x" * 8000,
    ],
    ids=lambda header: header[:50],
)
def test_supported_header_is_accepted(header: str, service: Service) -> None:
    assert post(service, header).status == 200


def test_expect_100_continue_is_answered_before_the_body(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=ANSWER_SECONDS) as peer:
        peer.sendall(
            head(
                "POST /submit",
                "Content-Type: application/json",
                f"Content-Length: {len(GOOD)}",
                "Expect: 100-continue",
            )
        )
        assert peer.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        peer.sendall(GOOD)
        assert peer.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


# A client that waits for `100 Continue` does not send a body that would be refused.
def test_body_that_is_too_large_is_refused_before_sending(service: Service) -> None:
    answer = post(
        service, "Expect: 100-continue", f"Content-Length: {MAX_BODY_BYTES + 1}", body=b""
    )
    assert answer.pair == (413, TOO_LARGE)


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 30])
def test_content_length_that_is_too_large_is_refused(length: str, service: Service) -> None:
    assert post(service, f"Content-Length: {length}").pair == (413, TOO_LARGE)


@pytest.mark.parametrize("size_bytes", [MAX_BODY_BYTES + 1, 20_000_000])
def test_body_that_is_too_large_is_refused_during_sending(
    size_bytes: int, service: Service
) -> None:
    response = service.submit(b'{"goal": "%b"}' % (b"x" * size_bytes))
    assert (response.status_code, response.json()) == (413, TOO_LARGE)


@pytest.mark.parametrize(
    "body",
    [b"2d\r\n%b\r\n0\r\n\r\n" % GOOD, b"0\r\n\r\n", b"zz\r\n\r\n", b"", b"fffffffffffffffff\r\n"],
    ids=["good", "empty", "no-hex", "cut", "endless"],
)
def test_body_in_chunks_is_refused(body: bytes, service: Service) -> None:
    answer = post(service, "Transfer-Encoding: chunked", "Content-Length: -", body=body)
    assert answer.pair == (411, CHUNKED)


@pytest.mark.parametrize(
    "body", [GOOD, GOOD[:-10], b""], ids=["whole-value", "half-a-value", "nothing"]
)
def test_body_shorter_than_its_length_is_refused(
    body: bytes, service: Service, service_database: Any
) -> None:
    count = "SELECT count(*) FROM tasks"
    before = service_database.execute(count).fetchone()
    assert post(service, "Content-Length: 100", body=body).pair == (400, BROKE_OFF)
    assert service_database.execute(count).fetchone() == before


def test_body_without_a_length_counts_as_empty(service: Service) -> None:
    answer = post(service, "Content-Length: -")
    assert answer.pair == (400, {"detail": "The body is empty: send a JSON object."})


@pytest.mark.parametrize(
    "refused",
    [
        "Content-Type: text/plain",
        "Content-Encoding: gzip",
        f"Content-Length: {MAX_BODY_BYTES * 2}",
        "Accept: image/png",
    ],
)
def test_body_of_a_refused_request_is_not_read_as_a_request(refused: str, service: Service) -> None:
    smuggled = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
    # Without `Connection: close`, so that the service could read a second request.
    request = head(
        "POST /submit",
        *["Content-Type: application/json"] * (not refused.startswith("Content-Type")),
        *[f"Content-Length: {len(smuggled)}"] * (not refused.startswith("Content-Length")),
        refused,
    ).replace(b"Connection: close\r\n", b"")
    answer = exchange(service, request + smuggled)
    assert answer.status in (406, 413, 415)
    assert b"healthy" not in answer.data


@pytest.mark.parametrize(
    ("request_line", "status", "expected"),
    [
        ("POST /submit/", 404, {"detail": TRAILING_SLASH % "/submit"}),
        ("GET /tasks/", 404, {"detail": TRAILING_SLASH % "/tasks"}),
        ("GET /tasks/x/", 404, {"detail": TRAILING_SLASH % "/tasks/{task_id}"}),
        ("GET /tasks/a%2Fb", 404, NOT_FOUND),
        ("GET //", 404, NOT_FOUND),
        ("GET /../etc/passwd", 404, NOT_FOUND),
        ("GET /static/..%2f..%2fmanage.py", 404, NOT_FOUND),
        ("GET /%FF", 404, NOT_FOUND),
        ("GET /%zz", 404, NOT_FOUND),
        ("GET /%", 404, NOT_FOUND),
        ("GET /tasks/%zz", 404, TASK_NOT_FOUND),
        ("GET /tasks/%00", 404, TASK_NOT_FOUND),
        ("GET /tasks/%FF", 404, TASK_NOT_FOUND),
        ("GET /tasks/" + "x" * 4000, 404, TASK_NOT_FOUND),
        ("GET /tasks/x?" + "y" * 4000, 400, {"y" * 100: [NO_PARAMETER]}),
        (
            "GET /tasks/x?a=%00&b=%FF&c=%zz&%",
            400,
            {name: [NO_PARAMETER] for name in ("%", "a", "b", "c")},
        ),
        ("GET /?format=xml", 404, {"detail": "Not found."}),
        ("GET /?format=%00", 404, {"detail": "Not found."}),
        ("GET /?" + "&" * 2000, 400, {"detail": "The request cannot be understood."}),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_unknown_url_gets_an_error_as_json(
    request_line: str, status: int, expected: Any, service: Service
) -> None:
    assert exchange(service, head(request_line)).pair == (status, expected)


def test_unknown_method_is_refused(service: Service) -> None:
    answer = exchange(service, head("BREW /submit"))
    assert answer.pair == (405, {"detail": "This method is not supported."})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/submit", "POST, OPTIONS"),
        ("GET", "/submit", "POST, OPTIONS"),
        ("TRACE", "/submit", "POST, OPTIONS"),
        ("PATCH", "/tasks/x", "GET, HEAD, OPTIONS"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
    ],
)
def test_refused_method_gets_a_list_of_the_allowed_ones(
    method: str, path: str, allowed: str, service: Service
) -> None:
    answer = exchange(service, head(f"{method} {path}"))
    assert answer.pair == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["Allow"] == allowed


def test_head_has_no_body(service: Service) -> None:
    answer = service.request("HEAD", "/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_options_names_the_methods(service: Service) -> None:
    answer = service.request("OPTIONS", "/submit")
    assert (answer.status_code, answer.headers["Allow"]) == (200, "POST, OPTIONS")


# Gunicorn itself answers invalid HTTP, with an HTML page.
@pytest.mark.parametrize(
    "data",
    [
        head("get /health"),
        head("GET health"),
        head("GET *"),
        head("GET /health x"),
        head("GET /\xff"),
        b"GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n",
        head("GET /" + "x" * 100_000),
        head("GET /health", "X-Long: " + "x" * 100_000),
        head("GET /health", *[f"X-{number}: x" for number in range(200)]),
        head("GET /health", "No colon"),
        head("GET /health", "X-Nul: a\0b"),
        head("GET /health", "Expect: miracles"),
        head("POST /submit", "Content-Length: -1") + GOOD,
        head("POST /submit", "Content-Length: 1e3") + GOOD,
        head("POST /submit", "Content-Length: 5", "Content-Length: 6") + GOOD,
        head("POST /submit", "Content-Length: 5", "Transfer-Encoding: chunked") + GOOD,
        head("POST /submit", "Transfer-Encoding: gzip") + GOOD,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
    ],
    ids=range(18),
)
def test_invalid_http_gets_a_4xx(data: bytes, service: Service) -> None:
    assert 400 <= exchange(service, data).status < 500


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost:port",
        "[::1",
        "a b",
        "",
        "localhost@evil.example",
        "x" * 1000,
        "\xff",
    ],
)
def test_unknown_host_is_refused_except_for_probes(host: str, service: Service) -> None:
    for path in ("/", "/tasks/x", "/admin/", "/docs", "/nowhere"):
        answer = exchange(service, head(f"GET {path}", host=host))
        assert answer.status == 400
    assert exchange(service, head("GET /", host=host)).pair == (400, HOST)
    for path in ("/health", "/ready", "/metrics"):
        assert exchange(service, head(f"GET {path}", host=host)).status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_allowed_host_is_served(host: str, service: Service) -> None:
    assert exchange(service, head("GET /", host=host)).status == 200


@pytest.mark.parametrize("given", ["a", "A-b_9", "x" * 64])
def test_request_id_of_the_client_is_kept(given: str, service: Service) -> None:
    answer = exchange(service, head("GET /health", f"X-Request-ID: {given}"))
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a.b", "\xe9", '"><script>', "a,b", "a\tb"])
def test_invalid_request_id_is_replaced(given: str, service: Service) -> None:
    answer = exchange(service, head("GET /health", f"X-Request-ID: {given}"))
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("path", ["/", "/submit", "/tasks/x", "/nowhere", "/health", "/metrics"])
def test_every_answer_has_its_own_request_id(path: str, service: Service) -> None:
    ids = [service.get(path).headers["X-Request-ID"] for _ in range(2)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ("dryrun=true", ["dryrun"]),
        ("priority=high&goal=x", ["goal", "priority"]),
        ("%00=x", ["?"]),
        ("format=json&forma=json", ["forma"]),
    ],
)
def test_unknown_parameter_is_refused(query: str, unknown: list[str], service: Service) -> None:
    response = service.request("POST", f"/submit?{query}", json={"goal": "Plan"})
    assert response.status_code == 400
    assert response.json() == {name: ["Unknown parameter. Known: dry_run."] for name in unknown}


def test_format_parameter_is_accepted(service: Service) -> None:
    for accept in ("text/html, */*;q=0.8", "application/json"):
        response = service.request(
            "POST", "/submit?format=json", json={"goal": "Plan"}, headers={"Accept": accept}
        )
        assert (response.status_code, response.json()["status"]) == (200, "pending")
