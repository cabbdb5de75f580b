"""The deadline over TLS, and the certificates that the client trusts."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from safety.outbound.exceptions import DeadlineExceeded, Unreachable
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, hangs, trickles
from tests.safety.calls import DEADLINE_SECONDS, client_of, process, refusal

LATEST_SECONDS = DEADLINE_SECONDS + 0.5

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

SLOW_PEERS = {
    "nothing": hangs(),
    "status-line": trickles(b"HTTP/1.1 200 ", b"O"),
    "a-header": trickles(OK, b"x"),
    "endless-headers": trickles(OK, b"a: b\r\n"),
    "continues": trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": trickles(OK + b"Content-Length: 1000\r\n\r\n", b" "),
    "chunk-size": trickles(CHUNKED, b"0"),
    "chunk-data": trickles(CHUNKED + b"3E8\r\n", b" "),
}

# Each trickle starts a long TLS record, whose bytes then come one by one.
SLOW_HANDSHAKES = {
    "nothing": hangs(),
    "trickle": trickles(b"\x16\x03\x03\x40\x00", b"\x02"),
    "trickle-from-the-first-byte": trickles(b"\x16", b"\x03"),
}


@pytest.fixture
def peer(tls_context: ssl.SSLContext) -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        scripted.url = scripted.url.replace("http", "https")
        scripted.welcome = lambda connection: tls_context.wrap_socket(connection, server_side=True)
        yield scripted


@pytest.mark.usefixtures("trust")
def test_many_calls_share_a_connection(peer: ScriptedReflexLayer) -> None:
    client = client_of(peer.url, deadline_seconds=5)

    for _ in range(50):
        process(client)

    assert (len(peer.requests), peer.connections) == (50, 1)


@pytest.mark.usefixtures("trust")
def test_a_long_text_arrives(peer: ScriptedReflexLayer) -> None:
    process(client_of(peer.url, deadline_seconds=5), "\x01" * 100_000)

    assert peer.texts == ["\x01" * 100_000]


def test_an_untrusted_certificate_is_refused(peer: ScriptedReflexLayer) -> None:
    with pytest.raises(Unreachable, match="certificate not trusted"):
        process(client_of(peer.url, deadline_seconds=5))

    assert (len(peer.requests), peer.connections) == (0, 1)


def test_a_peer_without_tls_is_no_matter_of_trust() -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return connection

    with ScriptedReflexLayer() as plain:
        plain.welcome = welcome
        with pytest.raises(Unreachable, match="connection failed"):
            process(client_of(plain.url.replace("http", "https"), deadline_seconds=5))


@pytest.mark.usefixtures("trust")
def test_a_certificate_for_another_host_is_refused(peer: ScriptedReflexLayer) -> None:
    url = peer.url.replace("127.0.0.1", "localhost")

    with pytest.raises(Unreachable, match="certificate not trusted"):
        process(client_of(url, deadline_seconds=5))

    assert peer.requests == []


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("behaviour", SLOW_PEERS.values(), ids=SLOW_PEERS.keys())
@pytest.mark.usefixtures("trust")
def test_a_slow_peer_ends_at_the_deadline(
    peer: ScriptedReflexLayer, tls_context: ssl.SSLContext, behaviour: Behaviour, version: str
) -> None:
    tls_context.maximum_version = ssl.TLSVersion[version]
    peer.behaviour = behaviour

    kind, seconds = refusal(client_of(peer.url))

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS
    # The request arrived, so the answer was slow, not the handshake.
    assert (len(peer.requests), peer.connections) == (1, 1)


@pytest.mark.parametrize("behaviour", SLOW_HANDSHAKES.values(), ids=SLOW_HANDSHAKES.keys())
def test_a_slow_handshake_ends_at_the_deadline(
    peer: ScriptedReflexLayer, behaviour: Behaviour
) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        behaviour(connection)
        return connection

    peer.welcome = welcome

    kind, seconds = refusal(client_of(peer.url))

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS
    assert peer.connections == 1


def test_a_slow_connection_leaves_the_handshake_only_the_rest_of_the_time() -> None:
    with contextlib.ExitStack() as opened:
        # While the queue is full, the system drops the connection attempt, and repeats it after
        # a second.
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        with contextlib.suppress(TimeoutError):
            for _ in range(10):
                waiting = opened.enter_context(socket.socket())
                waiting.settimeout(0.05)
                waiting.connect(listener.getsockname())

        def make_room() -> None:
            threading.Event().wait(0.3)
            with contextlib.suppress(OSError):
                while True:
                    opened.enter_context(listener.accept()[0])

        accepting = threading.Thread(target=make_room)
        accepting.start()
        kind, seconds = refusal(
            client_of(f"https://127.0.0.1:{listener.getsockname()[1]}", deadline_seconds=1.3)
        )
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()

    assert kind is DeadlineExceeded
    assert 1.3 <= seconds < 1.8


@pytest.mark.usefixtures("trust")
def test_a_slow_handshake_leaves_the_request_only_the_rest_of_the_time(
    peer: ScriptedReflexLayer, tls_context: ssl.SSLContext
) -> None:
    def welcome(connection: socket.socket) -> socket.socket:
        threading.Event().wait(0.8)
        secure = tls_context.wrap_socket(connection, server_side=True)
        # The peer reads nothing, so the request fills the buffers and the client blocks.
        threading.Event().wait(2)
        return secure

    peer.welcome = welcome

    kind, seconds = refusal(client_of(peer.url, deadline_seconds=1), "\x01" * 2_000_000)

    assert kind is DeadlineExceeded
    assert 1 <= seconds < 1.5


@pytest.mark.usefixtures("trust")
def test_a_peer_that_takes_the_request_slowly_ends_at_the_deadline(
    peer: ScriptedReflexLayer, tls_context: ssl.SSLContext
) -> None:
    def sips(connection: socket.socket) -> socket.socket:
        secure = tls_context.wrap_socket(connection, server_side=True)
        # Each single write makes progress in time, but all of them together take too long.
        while secure.recv(16384):
            threading.Event().wait(0.02)
        return secure

    peer.welcome = sips

    kind, seconds = refusal(client_of(peer.url), "\x01" * 2_000_000)

    assert kind is DeadlineExceeded
    assert DEADLINE_SECONDS <= seconds < LATEST_SECONDS
