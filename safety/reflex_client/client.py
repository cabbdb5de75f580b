"""The Reflex client: one text in, one answer out, within a deadline.

Contract: callers see our types and `safety.exceptions`, and nothing of requests or
urllib3. A call holds no longer than its deadline whatever the peer sends, reads no more
than `MAX_ANSWER_BYTES` of it, and keeps nothing of the text.
"""

import http.client
import uuid
from collections.abc import Mapping
from types import MappingProxyType

import requests
import urllib3
from urllib3 import BaseHTTPResponse

from safety.exceptions import (
    DeadlineExceeded,
    NoVerdict,
    RateLimited,
    ReflexFailure,
    RequestRejected,
    ServerFault,
    TooManyFindings,
    Unreachable,
    UnusableAnswer,
)
from safety.findings import Answer
from safety.outbound.transport import Deadline, DeadlineAdapter
from safety.reflex_client import protocol

MAX_ANSWER_BYTES = 1_048_576
PROBE_TEXT = "Summarize the weather of the week."
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
        adapter: carries the calls and keeps the connections.
    """

    def __init__(self, *, url: str, adapter: DeadlineAdapter) -> None:
        # requests prepares the calls once. To send each by way of its Session or adapter
        # would take as long again as the call itself, for cookies and redirects.
        self._process = _prepared("POST", f"{url.rstrip('/')}/process")
        self._ready = _prepared("GET", f"{url.rstrip('/')}/ready")
        self._pool = adapter.pool_for(self._process)
        self._retries = adapter.max_retries

    def process(self, text: str, *, deadline: Deadline, request_id: str) -> Answer:
        """Have `text` screened; 1 to `MAX_TEXT_BYTES` bytes of UTF-8.

        The deadline holds for connection, retry and answer together.

        Raises:
            NoVerdict: there is no answer; see `safety.exceptions`.
        """
        body = protocol.request_body(text)
        headers = {"Content-Length": str(len(body)), "X-Request-ID": request_id}
        answer = self._ask(self._process, deadline, body=body, headers=headers)
        return protocol.parse_answer(answer, text)

    def is_ready(self, *, deadline_seconds: float) -> bool:
        """Return whether the Reflex Layer says, in time, that it can screen."""
        try:
            self._ask(self._ready, Deadline(deadline_seconds))
        except NoVerdict:
            return False
        return True

    def probe(self, *, deadline_seconds: float) -> bool:
        """Return whether it screens now: readiness alone does not say that.

        A Reflex Layer that limits its rate, or finds fault with our request, works.
        """
        deadline = Deadline(deadline_seconds)
        try:
            self._ask(self._ready, deadline)
        except RateLimited:
            return True
        except NoVerdict:
            return False
        try:
            self.process(PROBE_TEXT, deadline=deadline, request_id=uuid.uuid4().hex)
        except ReflexFailure:
            return False
        except NoVerdict:
            pass
        return True

    def _ask(
        self,
        request: requests.PreparedRequest,
        deadline: Deadline,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> bytes:
        try:
            response = self._pool.urlopen(
                str(request.method),
                request.path_url,
                body=body,
                headers={**request.headers, **headers},
                timeout=deadline,
                retries=self._retries,
                redirect=False,
                preload_content=False,
            )
            try:
                _check_status(response)
                return _read(response)
            finally:
                if not _is_read_to_its_end(response):
                    response.close()
        except _TRANSPORT_ERRORS as error:
            if deadline.is_over:
                raise DeadlineExceeded("deadline exceeded") from error
            raise Unreachable("connection failed") from error


def _prepared(method: str, url: str) -> requests.PreparedRequest:
    headers = {
        "Content-Type": "application/json",
        # A compressed answer could unfold to any size.
        "Accept-Encoding": "identity",
    }
    return requests.Request(method, url, headers=headers).prepare()


def _check_status(response: BaseHTTPResponse) -> None:
    """Raise what the status says, before a byte of the body is read."""
    status = response.status
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


def _read(response: BaseHTTPResponse) -> bytes:
    body = bytearray()
    while chunk := response.read(_READ_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            if _is_json(response):
                # Nothing else makes an answer so long.
                raise TooManyFindings("too many findings")
            raise UnusableAnswer("answer is too long")
    return bytes(body)


def _is_json(response: BaseHTTPResponse) -> bool:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def _is_read_to_its_end(response: BaseHTTPResponse) -> bool:
    """Whether the connection is clean for the next call, and so already back in its pool."""
    return response.connection is None


def _retry_after(response: BaseHTTPResponse) -> int:
    value = response.headers.get("Retry-After", "")
    # Dates are not worth a parser.
    if value.isascii() and value.isdigit():
        # Nine digits are decades, and int() takes no numbers of thousands; the exception
        # caps both.
        return int(value[:9])
    return protocol.RATE_LIMIT_RETRY_AFTER_SECONDS
