"""The Reflex client: one text in, one answer out, within a deadline.

Contract: callers see our types and `safety.exceptions`, and nothing of requests or
urllib3. A call holds no longer than its deadline whatever the peer sends, reads no more
than `MAX_ANSWER_BYTES` of it, and keeps nothing of the text.
"""

import http.client

import requests
import urllib3

from safety import protocol
from safety.exceptions import (
    AnswerTooLong,
    DeadlineExceeded,
    NoVerdict,
    RateLimited,
    RequestRejected,
    ServerFault,
    Unreachable,
    UnusableAnswer,
)
from safety.findings import Answer
from safety.transport import Deadline, DeadlineAdapter

MAX_ANSWER_BYTES = 1_048_576
_READ_BYTES = 65_536

_TRANSPORT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    # http.client reads numbers and names from the peer's headers.
    ValueError,
)


class ReflexClient:
    """Calls one Reflex Layer; safe to share between threads.

    Args:
        url: its base address.
        deadline_seconds: for a whole screening, connection and retry included.
        adapter: carries the calls and keeps the connections.
    """

    def __init__(self, *, url: str, deadline_seconds: float, adapter: DeadlineAdapter) -> None:
        self._url = url.rstrip("/")
        self._deadline_seconds = deadline_seconds
        self._adapter = adapter

    def process(self, text: str, *, request_id: str) -> Answer:
        """Have `text` screened; 1 to `MAX_TEXT_BYTES` bytes of UTF-8.

        Raises:
            NoVerdict: there is no answer; see `safety.exceptions`.
        """
        request = self._request("POST", "/process", request_id, protocol.request_body(text))
        body = self._ask(request, Deadline(self._deadline_seconds))
        return protocol.parse_answer(body, text)

    def is_ready(self, *, deadline_seconds: float) -> bool:
        """Return whether the Reflex Layer says, in time, that it can screen."""
        try:
            self._ask(self._request("GET", "/ready"), Deadline(deadline_seconds))
        except NoVerdict:
            return False
        return True

    def _request(
        self, method: str, path: str, request_id: str = "", body: bytes | None = None
    ) -> requests.PreparedRequest:
        headers = {
            "Content-Type": "application/json",
            # A compressed answer could unfold to any size.
            "Accept-Encoding": "identity",
        }
        if request_id:
            headers["X-Request-ID"] = request_id
        return requests.Request(method, self._url + path, headers=headers, data=body).prepare()

    def _ask(self, request: requests.PreparedRequest, deadline: Deadline) -> bytes:
        try:
            # Not by way of a Session: even when told not to follow a redirect, it
            # reads the redirect's whole body.
            response = self._adapter.send(request, stream=True, timeout=deadline)  # type: ignore[arg-type]
            try:
                _check_status(response)
                return _read(response)
            finally:
                if not _is_read_to_its_end(response):
                    response.raw.close()
        except _TRANSPORT_ERRORS as error:
            if deadline.is_over:
                raise DeadlineExceeded("deadline exceeded") from error
            raise Unreachable("connection failed") from error


def _check_status(response: requests.Response) -> None:
    """Raise what the status says, before a byte of the body is read."""
    status = response.status_code
    if status == http.client.TOO_MANY_REQUESTS:
        raise RateLimited("rate limited", retry_after_seconds=_retry_after(response))
    if status in range(400, 500):
        raise RequestRejected("request rejected")
    if status in range(500, 600):
        raise ServerFault("server error")
    if status != http.client.OK:
        raise UnusableAnswer("unexpected status code")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnusableAnswer("answer is compressed")


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    while chunk := response.raw.read(_READ_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerTooLong("answer is too long")
    return bytes(body)


def _is_read_to_its_end(response: requests.Response) -> bool:
    """Whether the connection is clean for the next call, and so already back in its pool."""
    return response.raw.connection is None


def _retry_after(response: requests.Response) -> int:
    value = response.headers.get("Retry-After", "")
    # Dates are not worth a parser.
    if value.isascii() and value.isdigit():
        # Nine digits are decades, and int() takes no numbers of thousands; the exception
        # caps both.
        return int(value[:9])
    return protocol.RATE_LIMIT_RETRY_AFTER_SECONDS
