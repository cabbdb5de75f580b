"""Calls that another thread cancels, in each of their phases."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from safety.outbound.exceptions import Cancelled
from safety.outbound.service import Endpoint, Service
from safety.outbound.transport import Deadline
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, hangs, says, trickles
from tests.waiting import WAIT_SECONDS, wait_until

# A cancelled call ends within milliseconds; the machine may be busy.
SOON_SECONDS = 0.5
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

SLOW_PEERS = {
    "nothing": hangs(),
    "silent-after-the-status-line": hangs(OK),
    "silent-after-the-headers": hangs(OK + b"Content-Length: 9\r\n\r\n"),
    "endless-headers": trickles(OK, b"a: b\r\n", pause_seconds=0.001),
    "continues": trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_seconds=0.001),
    "body-with-its-length": trickles(OK + b"Content-Length: 9000\r\n\r\n", b" "),
    # Its end would look like a complete answer.
    "body-without-its-length": trickles(OK + b"\r\n", b" "),
    "chunks": trickles(CHUNKED, b"1\r\n \r\n", pause_seconds=0.001),
}


class Call:
    """A call in a thread of its own, and the means to cancel it."""

    def __init__(self, service: Service, *, body: bytes = b"{}") -> None:
        self.deadline = Deadline(WAIT_SECONDS)
        self.error: BaseException | None = None
        self.body: bytes | None = None
        self._service, self._body = service, body
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        endpoint = self._service.endpoint("POST", "/work")
        try:
            reply = self._service.ask(endpoint, deadline=self.deadline, body=self._body)
            self.body = reply.body
        except Exception as error:
            self.error = error

    def cancel(self) -> tuple[type[BaseException], bool]:
        """Cancel it; return the type of its exception, and whether it may have sent anything."""
        began = time.monotonic()
        self.deadline.cancel()
        self.join()
        assert time.monotonic() - began < SOON_SECONDS
        assert isinstance(self.error, Cancelled)
        return type(self.error), self.error.was_sent

    def join(self) -> None:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture
def tls_peer(tls_context: ssl.SSLContext, trust: None) -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        scripted.url = scripted.url.replace("http", "https")
        scripted.welcome = lambda connection: tls_context.wrap_socket(connection, server_side=True)
        yield scripted


def service_at(url: str, *, keeps_connections: bool = False) -> Service:
    return Service(
        url=url,
        connections=8,
        max_answer_bytes=1_000_000,
        rate_limit_seconds=1,
        # With retries, to see that a cancelled call is not tried again.
        retries=1,
        keeps_connections=keeps_connections,
    )


def pause() -> None:
    """Let the other side reach the wait in which it is to be interrupted."""
    threading.Event().wait(0.05)


# Phases


def test_a_call_that_begins_after_it_was_cancelled_looks_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: lookups.append(args))
    service = service_at("http://arm.example")
    deadline = Deadline(WAIT_SECONDS)
    deadline.cancel()

    for _ in range(2):
        with pytest.raises(Cancelled) as caught:
            service.ask(service.endpoint("POST", "/work"), deadline=deadline)

    assert (caught.value.was_sent, lookups) == (False, [])


def test_a_lookup_ends_in_a_cancelled_call_without_a_connection(
    peer: ScriptedReflexLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, found = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        looking.set()
        found.wait(WAIT_SECONDS)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", peer.listener.getsockname())]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    call = Call(service_at("http://arm.example"))
    looking.wait(WAIT_SECONDS)
    call.deadline.cancel()
    found.set()

    assert call.cancel() == (Cancelled, False)
    assert peer.connections == 0


def test_connecting_is_cancelled() -> None:
    with full_listener() as listener:
        call = Call(service_at(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        pause()

        assert call.cancel() == (Cancelled, False)


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


def test_a_call_that_is_cancelled_just_before_it_connects_is_not_connected(
    peer: ScriptedReflexLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system reports a socket that was shut down before it connects as connected."""
    connect = socket.socket.connect
    calls: list[Call] = []

    def connect_after_a_cancel(self: socket.socket, address: Any) -> None:
        wait_until(lambda: calls)
        calls[0].deadline.cancel()
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_after_a_cancel)
    calls.append(Call(service_at(peer.url)))

    assert calls[0].cancel() == (Cancelled, False)
    assert peer.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [hangs(), trickles(b"\x16\x03\x03\x40\x00", b"\x02", pause_seconds=0.001)],
    ids=["nothing", "trickle"],
)
def test_a_handshake_is_cancelled(peer: ScriptedReflexLayer, behaviour: Behaviour) -> None:
    arrived = threading.Event()

    def welcome(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        arrived.set()
        behaviour(connection)
        return connection

    peer.welcome = welcome
    call = Call(service_at(peer.url.replace("http", "https")))
    arrived.wait(WAIT_SECONDS)
    pause()

    assert call.cancel() == (Cancelled, False)
    assert peer.connections == 1


def reads_nothing(connection: socket.socket) -> socket.socket:
    with connection:
        connection.recv(1)
        threading.Event().wait(2)
    raise ConnectionResetError


def test_sending_is_cancelled(peer: ScriptedReflexLayer) -> None:
    peer.welcome = reads_nothing
    call = Call(service_at(peer.url), body=b"x" * 50_000_000)
    wait_until(lambda: call.deadline.was_sent)
    pause()

    assert call.cancel() == (Cancelled, True)


def test_sending_over_tls_is_cancelled(
    tls_peer: ScriptedReflexLayer, tls_context: ssl.SSLContext
) -> None:
    tls_peer.welcome = lambda connection: reads_nothing(
        tls_context.wrap_socket(connection, server_side=True)
    )
    call = Call(service_at(tls_peer.url), body=b"x" * 50_000_000)
    wait_until(lambda: call.deadline.was_sent)
    pause()

    assert call.cancel() == (Cancelled, True)


@pytest.mark.parametrize("behaviour", SLOW_PEERS.values(), ids=SLOW_PEERS.keys())
def test_reading_is_cancelled(peer: ScriptedReflexLayer, behaviour: Behaviour) -> None:
    peer.behaviour = behaviour
    call = Call(service_at(peer.url))
    wait_until(lambda: peer.requests)
    pause()

    assert call.cancel() == (Cancelled, True)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("behaviour", SLOW_PEERS.values(), ids=SLOW_PEERS.keys())
def test_reading_over_tls_is_cancelled(tls_peer: ScriptedReflexLayer, behaviour: Behaviour) -> None:
    tls_peer.behaviour = behaviour
    call = Call(service_at(tls_peer.url))
    wait_until(lambda: tls_peer.requests)
    pause()

    assert call.cancel() == (Cancelled, True)
    assert len(tls_peer.requests) == 1


def test_reading_on_a_shared_connection_is_cancelled(peer: ScriptedReflexLayer) -> None:
    service = service_at(peer.url, keeps_connections=True)
    peer.behaviour = says(b"done")
    Call(service).join()
    peer.behaviour = hangs()
    call = Call(service)
    wait_until(lambda: len(peer.requests) == 2)

    assert call.cancel() == (Cancelled, True)
    assert peer.connections == 1


def test_the_other_side_sees_the_end_of_a_cancelled_call(peer: ScriptedReflexLayer) -> None:
    ended = threading.Event()

    def behave(connection: socket.socket) -> bool:
        if connection.recv(1) == b"":
            ended.set()
        return False

    peer.behaviour = behave
    call = Call(service_at(peer.url))
    wait_until(lambda: peer.requests)
    call.cancel()

    assert ended.wait(SOON_SECONDS)


# Other calls


def test_cancelling_after_the_end_leaves_a_shared_connection_alone(
    peer: ScriptedReflexLayer,
) -> None:
    service = service_at(peer.url, keeps_connections=True)
    peer.behaviour = says(b"done")
    first = Call(service)
    first.join()
    held = threading.Event()

    def answer_later(connection: socket.socket) -> bool:
        held.wait(WAIT_SECONDS)
        return says(b"later")(connection)

    peer.behaviour = answer_later
    second = Call(service)
    wait_until(lambda: len(peer.requests) == 2)
    first.deadline.cancel()
    held.set()
    second.join()

    assert (second.error, second.body, peer.connections) == (None, b"later", 1)


def test_a_new_call_after_a_cancelled_one_works(peer: ScriptedReflexLayer) -> None:
    service = service_at(peer.url, keeps_connections=True)
    peer.behaviour = hangs()
    cancelled = Call(service)
    wait_until(lambda: peer.requests)
    cancelled.cancel()
    peer.behaviour = says(b"done")

    call = Call(service)
    call.join()

    assert (call.error, call.body) == (None, b"done")


@pytest.mark.parametrize("keeps_connections", [True, False])
def test_cancels_at_random_times_disturb_no_other_call(
    peer: ScriptedReflexLayer, keeps_connections: bool
) -> None:
    peer.behaviour = says(b"done")
    service = service_at(peer.url, keeps_connections=keeps_connections)
    endpoint = service.endpoint("POST", "/work")

    def run(number: int) -> str:
        deadline = Deadline(WAIT_SECONDS)
        cancelling = threading.Timer((number % 40) / 20_000, deadline.cancel)
        if number % 2:
            cancelling.start()
        return outcome(service, endpoint, deadline, cancelling.join if number % 2 else None)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(run, range(600)))

    assert outcomes[::2] == ["done"] * 300
    assert {*outcomes[1::2]} <= {"done", "cancelled"}


def outcome(
    service: Service, endpoint: Endpoint, deadline: Deadline, join: Callable[[], None] | None
) -> str:
    try:
        reply = service.ask(endpoint, deadline=deadline, body=b"{}")
    except Cancelled:
        return "cancelled"
    finally:
        if join is not None:
            join()
    return (reply.body or b"").decode()
