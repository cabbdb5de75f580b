"""A peer that sends without end uses little of our memory."""

import gzip
import socket
import tracemalloc
from collections.abc import Iterator

import pytest

from safety.outbound.exceptions import AnswerTooLong, CallFailed, Unreachable, UnusableAnswer
from tests.reflex_layer import Behaviour, ScriptedReflexLayer
from tests.safety.calls import client_of

FLOOD_BYTES = 200 * 2**20
# Enough to read the longest answer in small pieces.
MOST_BYTES = 8 * 2**20

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG_HEADER = b"a: " + b"b" * 65_000 + b"\r\n"


def floods(start: bytes, again: bytes) -> Behaviour:
    """Send `start`, then `again` many times, until the other side closes the connection."""

    def behave(connection: socket.socket) -> bool:
        connection.sendall(start)
        block = again * (2**20 // len(again))
        for _ in range(FLOOD_BYTES // len(block)):
            connection.sendall(block)
        return False

    return behave


FLOODS = {
    "body": (OK + b"\r\n", b"x", UnusableAnswer),
    "body-of-json": (OK + b"Content-Type: application/json\r\n\r\n", b"x", AnswerTooLong),
    "body-with-its-length": (OK + b"Content-Length: 209715200\r\n\r\n", b"x", UnusableAnswer),
    "body-of-a-negative-length": (OK + b"Content-Length: -1\r\n\r\n", b"x", UnusableAnswer),
    "one-chunk": (CHUNKED + b"C800000\r\n", b"x", UnusableAnswer),
    "one-endless-chunk": (CHUNKED + b"F" * 60_000 + b"\r\n", b"x", UnusableAnswer),
    "chunk-of-size-minus-one": (CHUNKED + b"-1\r\n", b"x", Unreachable),
    "small-chunks": (CHUNKED, b"1\r\nx\r\n", Unreachable),
    "chunk-size": (CHUNKED, b"0", Unreachable),
    "chunk-extension": (CHUNKED + b"1;", b"x", Unreachable),
    "trailers": (CHUNKED + b"0\r\n", LONG_HEADER, Unreachable),
    "status-line": (b"HTTP/1.1 200 ", b"O", Unreachable),
    "one-header": (OK + b"a: ", b"b", Unreachable),
    "long-headers": (OK, LONG_HEADER, Unreachable),
    "headers-of-a-continue": (b"HTTP/1.1 100 Continue\r\n", LONG_HEADER, Unreachable),
    "continues": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", Unreachable),
    "body-of-a-redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 209715200\r\n\r\n",
        b"x",
        UnusableAnswer,
    ),
    "gzip": (
        OK + b"Content-Encoding: gzip\r\n\r\n",
        gzip.compress(bytes(2**20)),
        UnusableAnswer,
    ),
}


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize(("start", "again", "kind"), FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.usefixtures("traced")
def test_a_flood_is_cut_off(
    peer: ScriptedReflexLayer, start: bytes, again: bytes, kind: type[CallFailed]
) -> None:
    peer.behaviour = floods(start, again)
    client = client_of(peer.url, 10)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()

    with pytest.raises(CallFailed) as caught:
        client.process()

    _, peak = tracemalloc.get_traced_memory()
    assert type(caught.value) is kind
    assert peak - before < MOST_BYTES
