"""The client of the Reflex Layer: sends a text and returns the answer, within a deadline.

It keeps no part of the text.
"""

import uuid
from typing import Final

from safety.findings import Answer
from safety.outbound.exceptions import CallFailed, RateLimited, ServiceFault
from safety.outbound.service import Service
from safety.outbound.transport import Deadline
from safety.reflex_client import protocol

MAX_ANSWER_BYTES: Final = 1_048_576
PROBE_TEXT: Final = "Summarize the weather of the week."


class ReflexClient:
    """Calls one Reflex Layer; safe to share between threads.

    Args:
        url: the base address of the Reflex Layer.
        connections: the number of connections that are kept open.
    """

    def __init__(self, *, url: str, connections: int) -> None:
        self._service = Service(
            url=url,
            connections=connections,
            max_answer_bytes=MAX_ANSWER_BYTES,
            rate_limit_seconds=protocol.RATE_LIMIT_RETRY_AFTER_SECONDS,
        )
        self._process = self._service.endpoint("POST", "/process")
        self._ready = self._service.endpoint("GET", "/ready")

    def process(self, text: str, *, deadline: Deadline, request_id: str) -> Answer:
        """Have `text` screened, which has 1 to `MAX_TEXT_BYTES` bytes of UTF-8.

        Raises:
            CallFailed: there is no answer.
        """
        body = protocol.request_body(text)
        headers = {"Content-Length": str(len(body)), "X-Request-ID": request_id}
        answer = self._service.call(self._process, deadline=deadline, body=body, headers=headers)
        return protocol.parse_answer(answer, text)

    def is_ready(self, *, deadline_seconds: float) -> bool:
        """Return whether the Reflex Layer reports in time that it is ready."""
        try:
            self._service.call(self._ready, deadline=Deadline(deadline_seconds))
        except CallFailed:
            return False
        return True

    def probe(self, *, deadline_seconds: float) -> bool:
        """Return whether the Reflex Layer screens texts now; readiness alone does not prove it.

        A rate limit also counts as working, and so does a rejected screening.
        """
        deadline = Deadline(deadline_seconds)
        try:
            self._service.call(self._ready, deadline=deadline)
        except RateLimited:
            return True
        except CallFailed:
            return False
        try:
            self.process(PROBE_TEXT, deadline=deadline, request_id=uuid.uuid4().hex)
        except ServiceFault:
            return False
        except CallFailed:
            pass
        return True
