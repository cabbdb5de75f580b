"""docs/nginx.conf: a real nginx in front of a real service."""

import contextlib
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from orchestrator_site.serving.limits import MAX_WAIT_SECONDS
from orchestrator_site.serving.queueing import CONSOLE_THREADS
from tests.conftest import StartService
from tests.proxy import NGINX, SHIPPED, Proxy
from tests.reflex_layer import ScriptedReflexLayer, resets, says
from tests.service import Service

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

GOOD = b'{"goal": "Analyze sentiment of user reviews"}'
TOO_LARGE = "The body is too large: at most 1048576 bytes are allowed."
NOT_UNDERSTOOD = "The request cannot be understood."
TASK_NOT_FOUND = "Task not found"
HEADERS_TOO_LARGE = "The headers are too large."
# The slow clients: addresses of this machine, and connections from each of them.
SLOW_ADDRESSES = 10
SLOW_OF_EACH = 40
ANSWERED_SECONDS = 2
# The fewest that a process can have.
THREADS = 3


@pytest.fixture(scope="module")
def behind(
    tmp_path_factory: pytest.TempPathFactory, service_database_url: str, bundled_reflex_layer: str
) -> Iterator[Service]:
    """A service that a few slow clients could block."""
    with Service(
        tmp_path_factory.mktemp("behind"),
        DATABASE_URL=service_database_url,
        REFLEX_URL=bundled_reflex_layer,
        WORKERS=1,
        THREADS=THREADS,
        HTTPS=True,
        TRUSTED_PROXIES=1,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, behind: Service) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("nginx"), behind.port) as running:
        yield running


def head(request_line: str = "POST /submit", *headers: str) -> bytes:
    lines = [f"{request_line} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "Connection: close", "\r\n"]).encode("latin-1")


def post(*headers: str) -> bytes:
    return head("POST /submit", "Content-Type: application/json", *headers)


def exchange(proxy: Proxy, data: bytes, source: str = "127.0.0.1") -> "tuple[int, Any, Any]":
    """Send bytes, valid HTTP or not; return the status, headers and JSON of the answer."""
    with proxy.connect(source) as peer:
        # The answer may arrive before everything is sent.
        with contextlib.suppress(OSError):
            peer.sendall(data)
        response = http.client.HTTPResponse(peer)
        response.begin()
        return response.status, response.headers, json.loads(response.read())


def assert_served(proxy: Proxy, path: str = "/health", **options: Any) -> Any:
    """Request from an address that is not slow; fail if the answer takes too long."""
    started = time.monotonic()
    response = proxy.request("POST" if path == "/submit" else "GET", path, **options)
    assert time.monotonic() - started < ANSWERED_SECONDS
    assert response.status_code == 200, response.text
    return response.json()


def slow_clients(proxy: Proxy, opened: contextlib.ExitStack) -> list[ssl.SSLSocket]:
    """Open connections that have sent nothing, half of the headers, or half of a body."""
    starts = [b"", post("X-Slow: ")[:-8], post("Content-Length: 100000") + b'{"goal": "']
    peers = []
    for number in range(SLOW_ADDRESSES * SLOW_OF_EACH):
        peer = opened.enter_context(proxy.connect(f"127.0.1.{number % SLOW_ADDRESSES + 1}"))
        peer.sendall(starts[number % len(starts)])
        peers.append(peer)
    return peers


def test_slow_clients_delay_no_other_client_and_are_disconnected(proxy: Proxy) -> None:
    with contextlib.ExitStack() as opened:
        peers = slow_clients(proxy, opened)
        for byte in b"slow":
            task = assert_served(proxy, "/submit", json={"goal": "Quick"})
            assert_served(proxy, f"/tasks/{task['task_id']}")
            assert_served(proxy, "/health")
            assert_served(proxy, "/ready")
            # Half of the slow clients go on sending, a byte at a time.
            for peer in peers[::2]:
                peer.sendall(bytes([byte]))
        # The silent ones are disconnected after nginx's timeout.
        for peer in peers[1::2]:
            with contextlib.suppress(ConnectionResetError):
                assert peer.recv(1) == b""
        assert_served(proxy, "/health")


def test_without_the_proxy_half_a_request_per_thread_blocks_the_service(behind: Service) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(THREADS + CONSOLE_THREADS):
            peer = opened.enter_context(socket.create_connection(("127.0.0.1", behind.port)))
            peer.sendall(post("X-Slow: ")[:-8])
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{behind.url}/health", timeout=ANSWERED_SECONDS)


def test_requests_under_way_are_limited_per_address(proxy: Proxy) -> None:
    half = post("Content-Length: 100", "Expect: 100-continue")
    [limit] = re.findall(r"limit_conn addresses (\d+);", SHIPPED)
    with contextlib.ExitStack() as opened:
        for _ in range(int(limit)):
            peer = opened.enter_context(proxy.connect("127.0.2.1"))
            peer.sendall(half)
            # nginx has read all headers.
            assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
        status, headers, content = exchange(proxy, head("GET /health"), "127.0.2.1")
        assert (status, headers["Retry-After"]) == (429, "1")
        assert content["detail"].startswith("Too many requests from this address")
        assert_served(proxy, "/health")


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (head("GET /tasks/" + "x" * 100_000), 414, "The path is too long."),
        (head("GET /health", "X-Long: " + "x" * 100_000), 431, HEADERS_TOO_LARGE),
        (head("GET /health", "X-" + "x" * 100_000 + ": x"), 431, HEADERS_TOO_LARGE),
        (head("GET /health", *[f"X-{n}: x" for n in range(5_000)]), 431, HEADERS_TOO_LARGE),
        (post("Content-Length: 10000000") + b"x" * 10_000_000, 413, TOO_LARGE),
        (post("Content-Length: 1153434") + b"x" * 1_153_434, 413, TOO_LARGE),
        (post("Content-Length: 1048577") + b"x" * 1_048_577, 413, TOO_LARGE),
        (post(f"Content-Length: {'9' * 15}"), 413, TOO_LARGE),
        (post(f"Content-Length: {'9' * 30}"), 400, NOT_UNDERSTOOD),
        (
            post("Transfer-Encoding: chunked") + b"100001\r\n" + b"x" * 0x100001 + b"\r\n0\r\n\r\n",
            413,
            TOO_LARGE,
        ),
        (b"nonsense\r\n\r\n", 400, NOT_UNDERSTOOD),
        (b"GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n", 400, NOT_UNDERSTOOD),
        (b"GET /health HTTP/1.1\r\n\r\n", 400, NOT_UNDERSTOOD),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, NOT_UNDERSTOOD),
        (head("GET /%00"), 400, NOT_UNDERSTOOD),
        (head("GET /../.."), 400, NOT_UNDERSTOOD),
        (head("GET /health", "Host: other"), 400, NOT_UNDERSTOOD),
        (head("GET /health", "X-Nul: a\0b"), 400, NOT_UNDERSTOOD),
        (post("Content-Length: -1") + GOOD, 400, NOT_UNDERSTOOD),
        (post("Transfer-Encoding: gzip") + GOOD, 400, NOT_UNDERSTOOD),
        (post("Transfer-Encoding: chunked", "Content-Length: 5"), 400, NOT_UNDERSTOOD),
        (head("TRACE /health"), 405, "This method is not supported."),
        (head("BREW /submit"), 405, "This method is not supported."),
        (head("GET /error"), 404, "Not found. The API is described at /docs."),
    ],
    ids=range(24),
)
def test_an_invalid_request_gets_a_4xx(data: bytes, status: int, detail: str, proxy: Proxy) -> None:
    got, headers, content = exchange(proxy, data)
    assert (got, content) == (status, {"detail": detail})
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", headers["X-Request-ID"])


# gunicorn has limits too, and its own error format: nginx must refuse first.
@pytest.mark.parametrize("length", range(7_960, 8_008, 2))
def test_every_answer_at_the_limits_of_path_and_headers_is_ours(length: int, proxy: Proxy) -> None:
    status, _, content = exchange(proxy, head("GET /tasks/" + "x" * (length - len("/tasks/"))))
    assert (status, content["detail"]) in ((404, TASK_NOT_FOUND), (414, "The path is too long."))
    status, _, content = exchange(proxy, head("GET /health", "X-Long: ".ljust(length, "x")))
    assert (status, content) in ((200, {"status": "healthy"}), (431, {"detail": HEADERS_TOO_LARGE}))


def test_too_many_small_headers_are_refused(proxy: Proxy) -> None:
    with proxy.connect() as peer:
        peer.sendall(head("GET /health", *[f"X-{number}: x" for number in range(200)]))
        # This answer is from gunicorn, which counts headers.
        assert peer.recv(100).startswith(b"HTTP/1.1 431 ")


def test_body_of_the_largest_allowed_size_arrives(proxy: Proxy) -> None:
    body = GOOD.ljust(settings.MAX_BODY_BYTES)
    status, _, content = exchange(proxy, post(f"Content-Length: {len(body)}") + body)
    assert (status, content["status"]) == (200, "pending")


def test_chunked_body_is_collected_for_the_service(proxy: Proxy) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    status, _, content = exchange(proxy, post("Transfer-Encoding: chunked") + chunks)
    assert (status, content["status"]) == (200, "pending")


def test_the_service_sees_the_real_address_and_not_the_forwarded_headers_of_the_client(
    proxy: Proxy, behind: Service
) -> None:
    lies = ("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "X-Request-ID: mine-1")
    _, headers, _ = exchange(proxy, head("GET /tasks/x", *lies), "127.0.3.1")
    assert headers["X-Request-ID"] == "mine-1"
    [line] = [line for line in behind.log_lines() if line["request_id"] == "mine-1"]
    assert line["client_address"] == "127.0.3.1"
    [cookie] = proxy.get("/admin/login/").cookies
    assert cookie.secure


def test_nginx_and_the_service_use_the_same_request_id(proxy: Proxy, behind: Service) -> None:
    _, headers, _ = exchange(proxy, head("GET /tasks/x", "X-Request-ID: a b"))
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])
    ids = [line["request_id"] for line in behind.log_lines()]
    assert ids.count(headers["X-Request-ID"]) == 1
    _, headers, _ = exchange(proxy, head("TRACE /", "X-Request-ID: mine-2"))
    assert headers["X-Request-ID"] == "mine-2"


@pytest.mark.parametrize(
    "path", ["/metrics", "//metrics", "/%6detrics", "/a/../metrics", "http://localhost/metrics"]
)
def test_metrics_are_not_served_through_the_proxy(path: str, proxy: Proxy) -> None:
    status, _, content = exchange(proxy, head(f"GET {path}"))
    assert (status, content) == (403, {"detail": "Access to this path is denied."})


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/docs", "/schema", "/submit", "//"])
def test_nothing_is_redirected_and_every_answer_sets_hsts(path: str, proxy: Proxy) -> None:
    response = proxy.get(path)
    assert not response.is_redirect
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_405_from_nginx_names_the_allowed_methods(proxy: Proxy) -> None:
    _, headers, _ = exchange(proxy, head("TRACE /health"))
    assert headers["Allow"] == "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2)])
def test_a_get_is_repeated_on_another_server_and_a_post_is_not(
    method: str, times: int, tmp_path: Path
) -> None:
    with ScriptedReflexLayer() as one, ScriptedReflexLayer() as other:
        one.behaviour = other.behaviour = resets
        ports = [server.listener.getsockname()[1] for server in (one, other)]
        with Proxy(tmp_path, *ports) as proxy:
            response = proxy.request(method, "/submit", data=GOOD)
    assert (response.status_code, response.json()) == (
        502,
        {"detail": "The service gave no answer. A task that was sent may have been stored."},
    )
    assert len(one.requests) + len(other.requests) == times


def test_post_on_a_broken_keep_alive_connection_is_not_repeated(tmp_path: Path) -> None:
    with ScriptedReflexLayer() as server:
        server.behaviour = says({})
        with Proxy(tmp_path, server.listener.getsockname()[1]) as proxy:
            assert proxy.get("/health").status_code == 200
            server.behaviour = resets
            assert proxy.request("POST", "/submit", data=GOOD).status_code == 502
    assert [method for method, *_ in server.requests] == ["GET", "POST"]


def test_without_a_service_the_answer_is_502_in_json(
    tmp_path: Path, start_service: StartService
) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    service.stop()
    with Proxy(tmp_path, service.port) as proxy:
        response = proxy.get("/health")
    assert response.status_code == 502
    assert response.headers["Content-Type"] == "application/json"


def test_limits_match_those_of_the_service() -> None:
    def numbers(directive: str) -> list[int]:
        return [int(number) for number in re.findall(rf"{directive} (\d+)s?;", SHIPPED)]

    assert numbers("client_max_body_size") == [settings.MAX_BODY_BYTES]
    deadlines = (settings.REFLEX_DEADLINE_SECONDS, settings.DATABASE_TIMEOUT_SECONDS)
    assert numbers("proxy_read_timeout")[0] > sum(deadlines) + MAX_WAIT_SECONDS
