"""Answers with any status, and whether a request was sent, over real sockets."""

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from safety.outbound.exceptions import CallFailed, DeadlineExceeded, Unreachable
from safety.outbound.service import Reply, Service
from safety.outbound.transport import Deadline
from tests.reflex_layer import (
    Behaviour,
    ScriptedReflexLayer,
    hangs,
    resets,
    says,
    sends,
    trickles,
)
from tests.waiting import WAIT_SECONDS, wait_until

LIMIT_BYTES = 1_000
DEADLINE_SECONDS = 0.3
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


def service_at(url: str, **options: Any) -> Service:
    defaults = {"retries": 0, "keeps_connections": False}
    return Service(
        url=url,
        connections=2,
        max_answer_bytes=LIMIT_BYTES,
        rate_limit_seconds=30,
        **defaults | options,
    )


def ask(service: Service, *, seconds: float = DEADLINE_SECONDS, body: bytes = b"{}") -> Reply:
    endpoint = service.endpoint("POST", "/work")
    return service.ask(endpoint, deadline=Deadline(seconds), body=body)


def failure(service: Service, **options: Any) -> tuple[type[CallFailed], bool]:
    """Return the type of the exception, and whether the request may have been sent."""
    with pytest.raises(CallFailed) as caught:
        ask(service, **options)
    return type(caught.value), caught.value.was_sent


# Answers


@pytest.mark.parametrize(
    ("behaviour", "reply"),
    [
        (says(b"done"), Reply(200, None, b"done")),
        (says(b"", status="204 No Content"), Reply(204, None, b"")),
        # The peer has no such server: a redirect that was followed would fail.
        (
            says(
                b"moved",
                status="307 Temporary Redirect",
                headers="Location: http://127.0.0.1:1/\r\n",
            ),
            Reply(307, None, b"moved"),
        ),
        (says(b"why", status="404 Not Found"), Reply(404, None, b"why")),
        (says(b"why", status="500 Internal Server Error"), Reply(500, None, b"why")),
        (
            says(b"later", status="503 Unavailable", headers="Retry-After: 7\r\n"),
            Reply(503, 7, b"later"),
        ),
        (says(b"", status="429 Slow Down", headers="Retry-After: 0\r\n"), Reply(429, 0, b"")),
        # Dates are not supported.
        (
            says(b"", status="429 Slow Down", headers="Retry-After: Sat, 1 Jan 2028\r\n"),
            Reply(429, None, b""),
        ),
        # Digits, but not of ASCII.
        (says(b"", status="429 Slow Down", headers="Retry-After: ²\r\n"), Reply(429, None, b"")),
        (
            says(b"", status="429 Slow Down", headers=f"Retry-After: {'9' * 5_000}\r\n"),
            Reply(429, 999_999_999, b""),
        ),
        (says(b"x" * LIMIT_BYTES), Reply(200, None, b"x" * LIMIT_BYTES)),
        (says(b"x" * (LIMIT_BYTES + 1)), Reply(200, None, None)),
        (says(b"x" * (LIMIT_BYTES + 1), status="400 Bad"), Reply(400, None, None)),
        (says(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"), Reply(200, None, b"\x1f\x8b")),
        (sends(OK + b"\r\nuntil the end"), Reply(200, None, b"until the end")),
    ],
    ids=[
        "200",
        "204",
        "redirect",
        "404",
        "500",
        "503-with-retry-after",
        "429-with-retry-after-0",
        "429-with-a-date",
        "429-with-odd-digits",
        "429-with-too-many-digits",
        "longest",
        "too-long",
        "too-long-error",
        "compressed",
        "without-its-length",
    ],
)
def test_an_answer_is_returned_whatever_its_status(
    peer: ScriptedReflexLayer, behaviour: Behaviour, reply: Reply
) -> None:
    peer.behaviour = behaviour

    assert ask(service_at(peer.url)) == reply
    assert len(peer.requests) == 1


# Whether the request was sent


def test_a_refused_connection_sent_nothing(peer: ScriptedReflexLayer) -> None:
    peer.go_down()

    assert failure(service_at(peer.url)) == (Unreachable, False)


def test_a_name_that_does_not_resolve_sent_nothing() -> None:
    assert failure(service_at("http://arm.invalid"), seconds=30) == (Unreachable, False)


def test_an_untrusted_certificate_sent_nothing(
    peer: ScriptedReflexLayer, tls_context: ssl.SSLContext
) -> None:
    peer.welcome = lambda connection: tls_context.wrap_socket(connection, server_side=True)

    service = service_at(peer.url.replace("http", "https"))

    assert failure(service, seconds=5) == (Unreachable, False)
    assert peer.requests == []


def test_a_handshake_that_hangs_sent_nothing(peer: ScriptedReflexLayer) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        hangs()(connection)
        raise ConnectionResetError

    peer.welcome = welcome
    service = service_at(peer.url.replace("http", "https"))

    assert failure(service) == (DeadlineExceeded, False)


@pytest.mark.parametrize("first_bytes", [0, 1], ids=["before-it", "during-it"])
def test_a_handshake_that_breaks_sent_nothing(peer: ScriptedReflexLayer, first_bytes: int) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        if first_bytes:
            connection.recv(first_bytes)
        resets(connection)
        raise ConnectionResetError

    peer.welcome = welcome
    service = service_at(peer.url.replace("http", "https"))

    # The reset may come before, while or after the first bytes are sent.
    assert {failure(service) for _ in range(20)} == {(Unreachable, False)}


def test_a_connection_that_breaks_before_the_handshake_sends_no_plain_text(
    peer: ScriptedReflexLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a connection, the standard library skips the handshake and says nothing."""
    connect = socket.socket.connect

    def connect_and_break(self: socket.socket, address: Any) -> None:
        connect(self, address)
        self.shutdown(socket.SHUT_RDWR)
        peer.cut_connections()
        wait_until(lambda: is_unconnected(self))

    monkeypatch.setattr(socket.socket, "connect", connect_and_break)
    service = service_at(peer.url.replace("http", "https"))

    assert failure(service, seconds=WAIT_SECONDS) == (Unreachable, False)
    assert peer.requests == []


def is_unconnected(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (sends(), Unreachable),
        (resets, Unreachable),
        (sends(OK + b"Content-Length: 9\r\n\r\nhalf"), Unreachable),
        (sends(b"SSH-2.0-OpenSSH_9.6\r\n"), Unreachable),
        (hangs(), DeadlineExceeded),
        (hangs(OK), DeadlineExceeded),
        (trickles(OK + b"Content-Length: 900\r\n\r\n", b" "), DeadlineExceeded),
    ],
    ids=["closed", "reset", "half", "another-protocol", "hangs", "hangs-later", "trickles"],
)
def test_a_request_without_an_answer_may_have_been_sent(
    peer: ScriptedReflexLayer, behaviour: Behaviour, kind: type[CallFailed]
) -> None:
    peer.behaviour = behaviour

    assert failure(service_at(peer.url)) == (kind, True)
    assert len(peer.requests) == 1


def test_a_half_sent_request_may_have_been_sent(peer: ScriptedReflexLayer) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        connection.recv(1)
        threading.Event().wait(2)
        return connection

    peer.welcome = welcome

    body = b"x" * 20_000_000
    assert failure(service_at(peer.url), body=body) == (DeadlineExceeded, True)


def test_what_an_earlier_call_sent_does_not_count(peer: ScriptedReflexLayer) -> None:
    service = service_at(peer.url)
    endpoint = service.endpoint("GET", "/health")
    deadline = Deadline(5)
    service.ask(endpoint, deadline=deadline)
    peer.go_down()

    with pytest.raises(Unreachable) as caught:
        service.ask(endpoint, deadline=deadline)

    assert not caught.value.was_sent


# Retries and connections


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2)])
def test_only_a_failed_connection_is_retried(
    retries: int, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[Any] = []

    def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
        lookups.append(args)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    assert failure(service_at("http://arm.example", retries=retries)) == (Unreachable, False)
    assert len(lookups) == attempts


@pytest.mark.parametrize(("keeps_connections", "connections"), [(True, 1), (False, 3)])
def test_calls_share_a_connection_only_if_they_may(
    peer: ScriptedReflexLayer, keeps_connections: bool, connections: int
) -> None:
    service = service_at(peer.url, keeps_connections=keeps_connections)

    for _ in range(3):
        ask(service)

    assert (len(peer.requests), peer.connections) == (3, connections)


def test_a_connection_that_the_peer_closes_late_spoils_no_call(peer: ScriptedReflexLayer) -> None:
    """The peer closes after the next request has arrived, so it never sees a second one."""

    def answers_one_request(connection: socket.socket) -> bool:
        says(b"done")(connection)
        connection.recv(1)
        return False

    peer.behaviour = answers_one_request
    service = service_at(peer.url)

    assert [ask(service).body for _ in range(3)] == [b"done"] * 3
