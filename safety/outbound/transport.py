"""HTTP with a deadline instead of a timeout.

The timeout of requests applies to each wait on the socket, so a peer that sends one byte a
second never exceeds it. Here one deadline covers everything: each address that is tried, the TLS
handshake, the retry, and every byte of the request and the answer. The size of an answer is
limited too, whatever its headers say.

Another thread can cancel a deadline, which shuts down the socket of its running call.

`DeadlineAdapter` is a transport adapter for requests; its pools accept a `Deadline` as timeout.
Neither the deadline nor its cancelling covers DNS lookups. Only the resolver can limit those.
"""

import contextlib
import math
import socket
import ssl
import threading
import time
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

# urllib3 refuses a timeout of zero. With this one, every step after the deadline fails at once.
_SHORTEST_TIMEOUT_SECONDS = 0.001
# For status lines, headers, chunk sizes and the body together. http.client limits the length of
# a line, but not the number of lines, and reads a chunk of size -1 until the peer stops sending.
_MAX_RECEIVED_BYTES = 2_097_152


def _seconds_until(moment: float) -> float:
    return max(moment - time.monotonic(), _SHORTEST_TIMEOUT_SECONDS)


class Interrupted(Exception):
    """The deadline of a call was cancelled."""


class Deadline(Timeout):
    """A timeout that ends at a fixed time, however often urllib3 starts it.

    It is for one call after another, not for two at a time.

    Attributes:
        is_cancelled: whether `cancel` was called.
        was_sent: whether the running or last call has sent any part of its request.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.at = time.monotonic() + seconds
        self.is_cancelled = False
        self.was_sent = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.at

    @property
    def seconds_left(self) -> float:
        return _seconds_until(self.at)

    def cancel(self) -> None:
        """End the running call at once, and each later one when it begins; from any thread."""
        with self._lock:
            self.is_cancelled = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # The method of a TLS socket would also end its encryption, and the thread of
                    # the call could go on to send plain text.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def watch(self, connection: socket.socket) -> None:
        """Let `cancel` shut down this socket.

        Raises:
            Interrupted: the deadline is cancelled already.
        """
        with self._lock:
            if self.is_cancelled:
                raise Interrupted
            self._socket = connection

    def forget(self) -> None:
        """Leave the socket alone from now on, because it is closed or serves another call."""
        # Without the lock, `cancel` could be about to shut down a socket whose number the system
        # has given to another connection.
        with self._lock:
            self._socket = None

    def clone(self) -> "Deadline":
        """Return itself: a retry gets no extra time."""
        return self

    def start_connect(self) -> float:
        return time.monotonic()

    @property
    def connect_timeout(self) -> float:
        return self.seconds_left

    @property
    def read_timeout(self) -> float:
        return self.seconds_left


class _Running(threading.local):
    """The deadline of the call that runs in this thread."""

    deadline: Deadline | None = None


_running = _Running()


class _Bounded:
    """Applies the timeout of a socket to all reads together, until the timeout is set again.

    The number of bytes that they return is limited in the same way. The deadline of the call can
    be cancelled.
    """

    _deadline_at = math.inf
    _bytes_left = _MAX_RECEIVED_BYTES
    _watched_by: Deadline | None = None

    def watch(self) -> None:
        """Let the deadline of the call in this thread shut the socket down, if it is cancelled."""
        self._watched_by = _running.deadline
        if self._watched_by is not None:
            self._watched_by.watch(self)  # type: ignore[arg-type]

    def unwatch(self) -> None:
        if self._watched_by is not None:
            self._watched_by.forget()
            self._watched_by = None

    def sendall(self, *args: Any) -> None:
        if self._watched_by is not None:
            self._watched_by.was_sent = True
        super().sendall(*args)  # type: ignore[misc]

    def _real_close(self, *args: Any) -> None:
        self.unwatch()
        super()._real_close(*args)  # type: ignore[misc]

    def settimeout(self, value: float | None) -> None:
        self._deadline_at = math.inf if value is None else time.monotonic() + value
        self._bytes_left = _MAX_RECEIVED_BYTES
        super().settimeout(value)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        if self._deadline_at < math.inf:
            seconds_left = self._deadline_at - time.monotonic()
            if seconds_left <= 0:
                raise TimeoutError("deadline passed")
            super().settimeout(seconds_left)  # type: ignore[misc]
        received: int = super().recv_into(*args)  # type: ignore[misc]
        self._bytes_left -= received
        if self._bytes_left < 0:
            raise OSError("answer too long")
        return received


class _Socket(_Bounded, socket.socket):
    """Writes need no change: the timeout of `sendall` covers all that it sends."""


class _TlsSocket(_Bounded, ssl.SSLSocket):
    """The timeout covers the whole handshake."""

    def do_handshake(self, *args: Any) -> None:
        # This object replaces the socket that has connected, and that was watched until now.
        try:
            self.watch()
        except Interrupted:
            self.close()
            raise
        super().do_handshake(*args)

    def getpeername(self) -> Any:
        # The handshake begins with this. Without a connection, ssl would skip the handshake.
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionResetError("closed before the handshake") from error


class _Connecting:
    """Opens the socket of a connection, and counts the connection's timeout down."""

    _timeout_at: float | None = None

    @property
    def timeout(self) -> float | None:
        """The rest of the timeout, which urllib3 passes to the socket in each phase."""
        return None if self._timeout_at is None else _seconds_until(self._timeout_at)

    @timeout.setter
    def timeout(self, value: float | None) -> None:
        self._timeout_at = None if value is None else time.monotonic() + value

    def _new_conn(self: Any) -> socket.socket:
        host = self._dns_host.strip("[]")
        try:
            return _connect(host, self.port, self.socket_options, self._timeout_at)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "connection timed out") from error
        except OSError as error:
            raise NewConnectionError(self, "connection failed") from error


def _connect(host: str, port: int, options: list[Any] | None, at: float) -> socket.socket:
    """Connect to the first address of `host` that answers before the time `at`."""
    failure: OSError = TimeoutError("deadline passed")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = _Socket(family, kind, protocol)
        try:
            connection.watch()
            connection.settimeout(_seconds_until(at))
            for option in options or ():
                connection.setsockopt(*option)
            connection.connect(address)
            # A socket that was shut down before `connect` seems to be connected.
            connection.watch()
            # This is also the timeout of the TLS handshake.
            connection.settimeout(_seconds_until(at))
        except Interrupted:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class _Connection(_Connecting, HTTPConnection):
    pass


class _TlsConnection(_Connecting, HTTPSConnection):
    pass


class _Cancellable:
    """Tells sockets the deadline of their call, until the connection is back in the pool."""

    keeps_connections = True

    def _make_request(self, conn: Any, *args: Any, timeout: Any, **kwargs: Any) -> Any:
        if timeout.is_cancelled:
            raise Interrupted
        _running.deadline = timeout
        if conn.sock is not None:
            conn.sock.watch()
        return super()._make_request(  # type: ignore[misc]
            conn, *args, timeout=timeout, **kwargs
        )

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and conn.sock is not None:
            conn.sock.unwatch()
        if self.keeps_connections:
            super()._put_conn(conn)  # type: ignore[misc]
        elif conn is not None:
            conn.close()


class _Pool(_Cancellable, HTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _TlsPool(_Cancellable, HTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _TlsConnection


class DeadlineAdapter(HTTPAdapter):
    """Accepts a `Deadline` as timeout.

    It does not follow redirects or use proxies of the environment. It trusts the certificates of
    requests and of the system, and those of SSL_CERT_FILE and SSL_CERT_DIR.

    Args:
        connections: the number of connections that are kept open.
        retries: how often it tries again to make a connection. Nothing else is retried.
        keeps_connections: False for a new connection for each call.
    """

    def __init__(self, *, connections: int, retries: int, keeps_connections: bool) -> None:
        retry = Retry(
            total=retries,
            connect=retries,
            read=False,
            redirect=0,
            status=0,
            other=0,
            # By default, urllib3 waits as long as Retry-After says, even for hours.
            respect_retry_after_header=False,
        )
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=retry)
        self._keeps_connections = keeps_connections

    def pool_for(self, request: PreparedRequest) -> HTTPConnectionPool:
        """Return the connection pool for the host of `request`."""
        pool = self.get_connection_with_tls_context(request, verify=True)
        self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]
        pool.keeps_connections = self._keeps_connections  # type: ignore[attr-defined]
        return pool  # type: ignore[return-value]

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools that use our connection classes."""
        super().init_poolmanager(*args, ssl_context=_tls_context(), **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _tls_context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_default_certs()
    context.sslsocket_class = _TlsSocket
    return context
