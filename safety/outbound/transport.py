"""HTTP with a deadline instead of a timeout.

The timeout of requests applies to each wait on the socket, so a peer that sends one byte a
second never exceeds it. Here one deadline covers everything: each address that is tried, the TLS
handshake, the retry, and every byte of the request and the answer. The size of an answer is
limited too, whatever its headers say.

`DeadlineAdapter` is a transport adapter for requests; its pools accept a `Deadline` as timeout.
The deadline does not cover DNS lookups. Only the resolver can limit those.
"""

import math
import socket
import ssl
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


class Deadline(Timeout):
    """A timeout that ends at a fixed time, however often urllib3 starts it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.at = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.at

    @property
    def seconds_left(self) -> float:
        return _seconds_until(self.at)

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


class _BoundedReads:
    """Applies the timeout of a socket to all reads together, until the timeout is set again.

    The number of bytes that they return is limited in the same way.
    """

    _deadline_at = math.inf
    _bytes_left = _MAX_RECEIVED_BYTES

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


class _Socket(_BoundedReads, socket.socket):
    """Writes need no change: the timeout of `sendall` covers all that it sends."""


class _TlsSocket(_BoundedReads, ssl.SSLSocket):
    """The handshake needs no change either: its timeout covers the whole handshake."""


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
            connection.settimeout(_seconds_until(at))
            for option in options or ():
                connection.setsockopt(*option)
            connection.connect(address)
            # This is also the timeout of the TLS handshake.
            connection.settimeout(_seconds_until(at))
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


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class DeadlineAdapter(HTTPAdapter):
    """Keeps up to `connections` connections open and accepts a `Deadline` as timeout.

    It retries once, and only if a connection could not be made. It does not follow redirects or
    use proxies of the environment. It trusts the certificates of requests and of the system,
    and those of SSL_CERT_FILE and SSL_CERT_DIR.
    """

    def __init__(self, *, connections: int) -> None:
        retry = Retry(
            total=1,
            connect=1,
            read=False,
            redirect=0,
            status=0,
            other=0,
            # By default, urllib3 waits as long as Retry-After says, even for hours.
            respect_retry_after_header=False,
        )
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=retry)

    def pool_for(self, request: PreparedRequest) -> HTTPConnectionPool:
        """Return the connection pool for the host of `request`."""
        pool = self.get_connection_with_tls_context(request, verify=True)
        self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]
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
