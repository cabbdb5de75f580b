"""HTTP with a deadline, against slow and broken peers."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from safety.outbound.exceptions import (
    CallFailed,
    DeadlineExceeded,
    RateLimited,
    ServerFault,
    Unreachable,
)
from safety.reflex_client.client import MAX_ANSWER_BYTES
from tests.reflex_layer import (
    Behaviour,
    ScriptedReflexLayer,
    answer,
    hangs,
    resets,
    says,
    sends,
    trickles,
)
from tests.safety.calls import DEADLINE_SECONDS, client_of, process, refusal

LATEST_SECONDS = DEADLINE_SECONDS + 0.5

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

SLOW_PEERS = {
    "nothing": hangs(),
    "silent-after-the-status-line": hangs(OK),
    "silent-after-the-headers": hangs(OK + b"Content-Length: 9\r\n\r\n"),
    "status-line": trickles(b"HTTP/1.1 200 ", b"O"),
    "a-header": trickles(OK, b"x"),
    "endless-headers": trickles(OK, b"a: b\r\n"),
    "continues": trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers-of-a-continue": trickles(b"HTTP/1.1 100 Continue\r\n", b"a: b\r\n"),
    "body-with-its-length": trickles(OK + b"Content-Length: 1000\r\n\r\n", b" "),
    "body-without-its-length": trickles(OK + b"\r\n", b" "),
    "chunk-size": trickles(CHUNKED, b"0"),
    "chunk-extension": trickles(CHUNKED + b"3E8;", b"x"),
    "chunk-data": trickles(CHUNKED + b"3E8\r\n", b" "),
    "endless-chunks": trickles(CHUNKED, b"1\r\n \r\n"),
    "trailers": trickles(CHUNKED + b"1\r\n \r\n0\r\n", b"a: b\r\n"),
}

BROKEN_PEERS = {
    "reset": resets,
    "closed-without-a-word": sends(),
    "closed-in-the-status-line": sends(b"HTTP/1.1 20"),
    "closed-in-the-body": sends(OK + b"Content-Length: 900\r\n\r\n", b'{"status": "success"'),
    "closed-in-the-chunk-size": sends(CHUNKED + b"3E"),
    "closed-in-the-chunk": sends(CHUNKED + b"3E8\r\n", b'{"status": "success"'),
    "closed-before-the-last-chunk": sends(CHUNKED + b"2\r\n{}\r\n"),
    "chunk-size-of-no-number": sends(CHUNKED + b"size\r\n{}"),
    "negative-chunk-size": sends(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"),
    "two-lengths": sends(OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}   "),
    "another-protocol": sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "another-version": sends(b"HTTP/3.0 200 OK\r\n\r\n"),
    "binary": sends(bytes(range(256)) * 300),
    "too-many-headers": sends(OK, b"a: b\r\n" * 200, b"\r\n"),
    "too-long-a-header": sends(OK + b"a: ", b"b" * 100_000, b"\r\n\r\n"),
}


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


# The deadline


@pytest.mark.parametrize("behaviour", SLOW_PEERS.values(), ids=SLOW_PEERS.keys())
def test_a_slow_peer_ends_at_the_deadline(peer: ScriptedReflexLayer, behaviour: Behaviour) -> None:
    peer.behaviour = behaviour

    kind, seconds = refusal(client_of(peer.url))

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS
    assert peer.connections == 1


@pytest.mark.parametrize("behaviour", SLOW_PEERS.values(), ids=SLOW_PEERS.keys())
def test_a_peer_that_becomes_slow_on_an_open_connection_ends_at_the_deadline(
    peer: ScriptedReflexLayer, behaviour: Behaviour
) -> None:
    client = client_of(peer.url)
    process(client)
    peer.behaviour = behaviour

    kind, seconds = refusal(client)

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS
    assert peer.connections == 1


def test_a_peer_that_takes_the_request_slowly_ends_at_the_deadline(
    peer: ScriptedReflexLayer,
) -> None:
    peer.welcome = sips

    # In JSON, each of these characters takes six bytes.
    kind, seconds = refusal(client_of(peer.url), "\x01" * 2_000_000)

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS


def sips(connection: socket.socket) -> socket.socket:
    while connection.recv(1000):
        threading.Event().wait(0.02)
    return connection


def test_a_peer_that_never_accepts_ends_at_the_deadline() -> None:
    with full_listener() as listener:
        kind, seconds = refusal(client_of(f"http://127.0.0.1:{listener.getsockname()[1]}"))

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS


@contextlib.contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener whose full queue makes the system ignore further connections."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        with contextlib.suppress(TimeoutError):
            for _ in range(10):
                waiting = opened.enter_context(socket.socket())
                waiting.settimeout(0.05)
                waiting.connect(listener.getsockname())
        yield listener


def test_all_addresses_of_a_name_share_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as first, full_listener() as second:
        resolve(monkeypatch, [first, second])

        kind, seconds = refusal(client_of("http://reflex.example"))

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS


# Broken peers


@pytest.mark.parametrize("behaviour", BROKEN_PEERS.values(), ids=BROKEN_PEERS.keys())
def test_a_broken_peer_is_unreachable_and_not_called_again(
    peer: ScriptedReflexLayer, behaviour: Behaviour
) -> None:
    peer.behaviour = behaviour

    kind, seconds = refusal(client_of(peer.url))

    assert kind is Unreachable
    assert seconds < DEADLINE_SECONDS
    assert (peer.connections, len(peer.requests)) == (1, 1)


def test_a_peer_that_resets_during_the_request_is_not_called_again(
    peer: ScriptedReflexLayer,
) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        # A reset before the first byte could still count as a connection that was not made.
        connection.recv(1)
        resets(connection)
        raise ConnectionResetError

    peer.welcome = welcome

    assert refusal(client_of(peer.url))[0] is Unreachable
    assert peer.connections == 1


# The one retry


def resolve(
    monkeypatch: pytest.MonkeyPatch, *answers: list[socket.socket]
) -> list[tuple[Any, ...]]:
    """Let each DNS lookup return the next list of listeners; return the recorded lookups."""
    lookups: list[tuple[Any, ...]] = []

    def getaddrinfo(*args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        lookups.append(args)
        listeners = answers[min(len(lookups), len(answers)) - 1]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())
            for listener in listeners
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lookups


@pytest.fixture
def refusing() -> Iterator[socket.socket]:
    """An address that refuses connections and that no other process can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def test_a_failed_connection_attempt_is_retried_once(
    peer: ScriptedReflexLayer, refusing: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = resolve(monkeypatch, [refusing], [peer.listener])

    process(client_of("http://reflex.example"))

    assert lookups == [("reflex.example", 80)] * 2
    assert len(peer.requests) == 1


def test_there_is_no_second_retry(
    peer: ScriptedReflexLayer, refusing: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = resolve(monkeypatch, [refusing], [refusing], [peer.listener])

    assert refusal(client_of("http://reflex.example"))[0] is Unreachable
    assert (len(lookups), peer.connections) == (2, 0)


def test_the_next_address_of_a_name_is_not_a_retry(
    peer: ScriptedReflexLayer, refusing: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = resolve(monkeypatch, [refusing, peer.listener])

    process(client_of("http://reflex.example"))

    assert (len(lookups), len(peer.requests)) == (1, 1)


@pytest.mark.parametrize(
    "host", ["reflex.invalid", "a" * 64 + ".invalid"], ids=["unknown", "impossible"]
)
def test_a_name_that_does_not_resolve_is_unreachable(host: str) -> None:
    # The deadline does not cover the resolver, which may be slow in a sandbox.
    assert refusal(client_of(f"http://{host}", deadline_seconds=30))[0] is Unreachable


# Kept connections


def test_many_calls_share_a_connection(peer: ScriptedReflexLayer) -> None:
    client = client_of(peer.url)

    for _ in range(100):
        process(client)

    assert (len(peer.requests), peer.connections) == (100, 1)


def test_the_size_limit_of_an_answer_does_not_limit_its_connection(
    peer: ScriptedReflexLayer,
) -> None:
    peer.behaviour = says(json.dumps(answer()).encode().ljust(MAX_ANSWER_BYTES))
    client = client_of(peer.url, deadline_seconds=5)

    for _ in range(10):
        process(client)

    assert (len(peer.requests), peer.connections) == (10, 1)


def test_calls_after_chunked_answers_share_a_connection(peer: ScriptedReflexLayer) -> None:
    whole = CHUNKED + b"5\r\n[   ]\r\n0\r\n\r\n"
    peer.behaviour = lambda connection: connection.sendall(whole) is None
    client = client_of(peer.url)

    for _ in range(5):
        refusal(client)

    assert (len(peer.requests), peer.connections) == (5, 1)


def test_a_connection_that_the_peer_closed_is_replaced(peer: ScriptedReflexLayer) -> None:
    client = client_of(peer.url)
    for _ in range(3):
        process(client)
        peer.cut_connections()

    process(client)

    assert (len(peer.requests), peer.connections) == (4, 4)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("429 Too Many Requests", RateLimited), ("500 Internal Server Error", ServerFault)],
)
def test_an_unread_answer_is_not_taken_for_the_next_one(
    peer: ScriptedReflexLayer, status: str, kind: type[CallFailed]
) -> None:
    client = client_of(peer.url)
    peer.behaviour = says(answer(), status=status)
    assert refusal(client)[0] is kind
    peer.behaviour = says(answer())

    process(client)

    assert (len(peer.requests), peer.connections) == (2, 2)


def test_a_second_answer_to_one_request_is_not_taken_for_the_next(
    peer: ScriptedReflexLayer,
) -> None:
    client = client_of(peer.url)
    content = json.dumps(answer()).encode()
    clean = OK + b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
    # Both answers are sent at once, so that the second arrives before the next request.
    peer.behaviour = lambda connection: connection.sendall(clean + clean) is None
    process(client)
    peer.behaviour = says(answer(status="ratelimited"))

    assert refusal(client)[0] is RateLimited


def test_no_call_waits_for_the_connection_of_another(peer: ScriptedReflexLayer) -> None:
    together = threading.Barrier(8)
    clean = says(answer())

    def behave(connection: socket.socket) -> bool:
        together.wait(5)
        return clean(connection)

    peer.behaviour = behave
    client = client_of(peer.url, deadline_seconds=5)
    threads = [threading.Thread(target=process, args=[client]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(peer.requests), together.broken) == (8, False)


def test_an_ipv6_address_is_reached() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener, threading_peer(listener):
        process(client_of(f"http://[::1]:{listener.getsockname()[1]}"))


@contextlib.contextmanager
def threading_peer(listener: socket.socket) -> Iterator[None]:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            says(answer())(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join(5)
