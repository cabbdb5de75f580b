"""HTTP calls to another service, with a deadline and a limit on the size of the answer.

Contract: callers see `Service`, `Deadline` and `safety.outbound.exceptions`, and nothing of
requests or urllib3. A call ends by its deadline, whatever the peer sends. Redirects are never
followed.
"""

import http.client
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

import requests
import urllib3
from urllib3 import BaseHTTPResponse

from safety.outbound.exceptions import (
    AnswerTooLong,
    CallFailed,
    Cancelled,
    DeadlineExceeded,
    RateLimited,
    Rejected,
    ServerFault,
    Unreachable,
    UnusableAnswer,
)
from safety.outbound.transport import Deadline, DeadlineAdapter, Interrupted

T = TypeVar("T")

_READ_BYTES: Final = 65_536
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_TRANSPORT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    # http.client parses numbers and names in the peer's headers, which may be malformed.
    ValueError,
    Interrupted,
)


class Endpoint(NamedTuple):
    """A method and path of a service, prepared for any number of calls."""

    method: str
    path: str
    headers: Mapping[str, str]


class Reply(NamedTuple):
    """An answer with any status.

    Attributes:
        retry_after_seconds: what the answer says, from 0; None if it says nothing.
        body: as it was sent, even if it is compressed; None if it exceeds the size limit.
    """

    status: int
    retry_after_seconds: int | None
    body: bytes | None


class Service:
    """Another service and the connections to it; safe to share between threads.

    Args:
        url: the base address of the service.
        connections: the number of connections that are kept open.
        max_answer_bytes: the size limit for the body of an answer.
        rate_limit_seconds: how long to wait after a rate limit that names no time.
        retries: how often a connection that could not be made is tried again.
        keeps_connections: whether calls share connections. A service may close a shared one just
            when the next call begins, which then has no answer.
    """

    def __init__(
        self,
        *,
        url: str,
        connections: int,
        max_answer_bytes: int,
        rate_limit_seconds: int,
        retries: int = 1,
        keeps_connections: bool = True,
    ) -> None:
        self._url = url.rstrip("/")
        self._adapter = DeadlineAdapter(
            connections=connections, retries=retries, keeps_connections=keeps_connections
        )
        self._pool = self._adapter.pool_for(_prepared("GET", self._url))
        self._max_answer_bytes = max_answer_bytes
        self._rate_limit_seconds = rate_limit_seconds

    def endpoint(self, method: str, path: str) -> Endpoint:
        """Return the endpoint at `path` below the base address."""
        # requests prepares the endpoint once. Sending each call through its Session or adapter
        # would take twice the time, because of cookies and redirects.
        prepared = _prepared(method, f"{self._url}{path}")
        headers = dict(prepared.headers)
        # It is that of no body. urllib3 sets the one of each call.
        headers.pop("Content-Length", None)
        return Endpoint(method, prepared.path_url, headers)

    def call(
        self,
        endpoint: Endpoint,
        *,
        deadline: Deadline,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> bytes:
        """Return the body of a 200 answer.

        The deadline covers connection, retry and answer together.

        Raises:
            CallFailed: there is no 200 answer that can be used.
        """
        return self._exchange(self._body, endpoint, deadline, body, headers)

    def ask(
        self,
        endpoint: Endpoint,
        *,
        deadline: Deadline,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        """Return the answer, whatever its status is.

        Raises:
            Cancelled, Unreachable, DeadlineExceeded: there is no complete answer.
        """
        return self._exchange(self._reply, endpoint, deadline, body, headers)

    def _exchange(
        self,
        take: Callable[[BaseHTTPResponse], T],
        endpoint: Endpoint,
        deadline: Deadline,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> T:
        """Send a request, and return what `take` makes of the answer."""
        deadline.was_sent = False
        try:
            response = self._pool.urlopen(
                endpoint.method,
                endpoint.path,
                body=body,
                headers={**endpoint.headers, **headers},
                timeout=deadline,
                retries=self._adapter.max_retries,
                redirect=False,
                preload_content=False,
            )
            try:
                taken = take(response)
            finally:
                if not _is_fully_read(response):
                    response.close()
            if deadline.is_cancelled:
                # The end of an answer without a length may be the end of its connection.
                raise Interrupted
        except _TRANSPORT_ERRORS as error:
            raise _failure(deadline, error) from error
        return taken

    def _body(self, response: BaseHTTPResponse) -> bytes:
        self._check_status(response)
        body = self._read(response)
        if body is not None:
            return body
        if _is_json(response):
            raise AnswerTooLong("answer is too long")
        # The answer is not from the service, but from something such as a proxy before it.
        raise UnusableAnswer("answer is too long")

    def _reply(self, response: BaseHTTPResponse) -> Reply:
        return Reply(response.status, _retry_after(response), self._read(response))

    def _check_status(self, response: BaseHTTPResponse) -> None:
        """Raise an error for a bad status or a compressed answer, before reading the body."""
        status = response.status
        if status == http.client.TOO_MANY_REQUESTS:
            seconds = _retry_after(response)
            if seconds is None:
                seconds = self._rate_limit_seconds
            raise RateLimited("rate limited", retry_after_seconds=seconds)
        if status in range(400, 500):
            raise Rejected("request rejected")
        if status in range(500, 600):
            raise ServerFault("server error")
        if status != http.client.OK:
            raise UnusableAnswer("unexpected status code")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UnusableAnswer("answer is compressed")

    def _read(self, response: BaseHTTPResponse) -> bytes | None:
        """Return the body, or None if it is too long."""
        body = bytearray()
        while chunk := response.read(_READ_BYTES, decode_content=False):
            body += chunk
            if len(body) > self._max_answer_bytes:
                return None
        return bytes(body)


def _failure(deadline: Deadline, error: BaseException) -> CallFailed:
    """Return why there is no complete answer."""
    was_sent = deadline.was_sent
    if deadline.is_cancelled:
        return Cancelled("call cancelled", was_sent=was_sent)
    if deadline.is_over:
        return DeadlineExceeded("deadline exceeded", was_sent=was_sent)
    reason = "certificate not trusted" if _is_about_trust(error) else "connection failed"
    return Unreachable(reason, was_sent=was_sent)


def _is_about_trust(error: BaseException | None) -> bool:
    """Return whether the peer's certificate is not trusted, or that of another host."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        # urllib3 wraps exceptions without a cause.
        error = error.__cause__ or error.__context__
    return error is not None


def _retry_after(response: BaseHTTPResponse) -> int | None:
    value = response.headers.get("Retry-After", "")
    # Dates are not supported.
    if value.isascii() and value.isdigit():
        # int() refuses numbers with thousands of digits. Nine digits are enough, because the
        # exception limits the value to an hour.
        return int(value[:9])
    return None


def _prepared(method: str, url: str) -> requests.PreparedRequest:
    headers = {
        "Content-Type": "application/json",
        # A compressed answer could expand to any size.
        "Accept-Encoding": "identity",
    }
    return requests.Request(method, url, headers=headers).prepare()


def _is_json(response: BaseHTTPResponse) -> bool:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def _is_fully_read(response: BaseHTTPResponse) -> bool:
    """Return whether the connection is back in its pool, ready for the next call."""
    return response.connection is None
