"""A scripted Reflex Layer on a real socket."""

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Self

# Answers one request with any bytes; returns whether the connection may be used again.
Behaviour = Callable[[socket.socket], bool]
BACKLOG = 128


def answer(**fields: Any) -> dict[str, Any]:
    """Return a clean answer, changed by `fields`."""
    return {
        "request_id": "reflex-1",
        "status": "success",
        "pii_detected": False,
        "pii_matches": [],
        "injection_detected": False,
        "injection_matches": [],
        "cache_hit": False,
        "processing_time_ms": 0.1,
    } | fields


def pii(pii_type: Any = "Email", **fields: Any) -> dict[str, Any]:
    match = {"pii_type": pii_type, "start": 0, "end": 3, "matched_text": "a@b", "confidence": 0.9}
    return answer(pii_detected=True, pii_matches=[match | fields])


def found(text: str, quoted: str, name: Any = "Email", **fields: Any) -> dict[str, Any]:
    """Return a match of PII at the first occurrence of `quoted` in `text`."""
    start = len(text[: text.index(quoted)].encode())
    end = start + len(quoted.encode())
    where = {"start": start, "end": end, "matched_text": quoted}
    return {"pii_type": name, "confidence": 0.9} | where | fields


def injection(severity: Any = "High", status: str = "success", **fields: Any) -> dict[str, Any]:
    match = {
        "injection_type": "DataExfiltration",
        "start": 0,
        "end": 3,
        "matched_text": "abc",
        "severity": severity,
        "confidence": 0.8,
        "indicators": [],
    }
    return answer(status=status, injection_detected=True, injection_matches=[match | fields])


def says(body: Any, *, status: str = "200 OK", headers: str = "") -> Behaviour:
    """Answer with `body`: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode()

    def behave(connection: socket.socket) -> bool:
        connection.sendall(head + content)
        return True

    return behave


def sends(*parts: bytes) -> Behaviour:
    """Send `parts`, which may be an incomplete answer, and close the connection."""

    def behave(connection: socket.socket) -> bool:
        for part in parts:
            connection.sendall(part)
        return False

    return behave


def hangs(start: bytes = b"") -> Behaviour:
    """Send `start` and nothing more, until the other side gives up."""

    def behave(connection: socket.socket) -> bool:
        connection.sendall(start)
        connection.recv(1)
        return False

    return behave


def trickles(start: bytes, again: bytes, *, pause_seconds: float = 0.02) -> Behaviour:
    """Send `start`, then `again` after each pause, until the other side gives up."""

    def behave(connection: socket.socket) -> bool:
        connection.sendall(start)
        while True:
            threading.Event().wait(pause_seconds)
            connection.sendall(again)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Use the next behaviour for each request, and the last one for all further requests."""
    turns = itertools.chain(behaviours, itertools.repeat(behaviours[-1]))
    return lambda connection: next(turns)(connection)


def resets(connection: socket.socket) -> bool:
    """Reset the connection, so that the other side gets an error instead of its end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


class ScriptedReflexLayer:
    """Serves each connection in a thread; `behaviour` may be changed at any time.

    Attributes:
        welcome: called with each new connection before anything is read; returns the connection
            to read from.
        requests: method, path, headers and body of each request, in order of arrival.
        connections: how many were accepted.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = says(answer())
        self.welcome: Callable[[socket.socket], socket.socket] = lambda connection: connection
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_listening()
        self.cut_connections()

    def go_down(self) -> None:
        """Refuse new connections, and cut the existing ones."""
        address = self.listener.getsockname()
        self._stop_listening()
        # Bound without listening, so that no other process gets the port meanwhile.
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.cut_connections()

    def come_up(self) -> None:
        self.listener.listen(BACKLOG)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_connections(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def texts(self) -> list[str]:
        """The texts that were sent for screening."""
        return [
            json.loads(body)["text"] for _, path, _, body in self.requests if path == "/process"
        ]

    def _stop_listening(self) -> None:
        # Wakes the thread that waits in accept, if there is one.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as opened:
            opened.enter_context(contextlib.suppress(OSError))
            opened.enter_context(connection)
            connection = opened.enter_context(self.welcome(connection))
            reader = opened.enter_context(connection.makefile("rb"))
            while line := reader.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (header := reader.readline().strip()) and b":" in header:
                    name, value = header.decode().split(":", 1)
                    headers[name.lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", 0)))
                self.requests.append((method, path, headers, body))
                if not self.behaviour(connection):
                    return
