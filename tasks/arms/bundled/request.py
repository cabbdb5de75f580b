"""Read a request to `/execute`, or refuse it with an error of the protocol."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_BODY_BYTES: Final = 4_194_304


class Refused(Exception):
    """The request is refused with an error of the protocol.

    Attributes:
        status: of the HTTP answer.
        category: one of the protocol's.
    """

    def __init__(self, message: str, *, status: str, code: str, category: str) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.category = category

    @property
    def error(self) -> dict[str, Any]:
        return {
            "error_code": self.code,
            "category": self.category,
            "message": self.message,
            "retryable": False,
            "retry_after_seconds": None,
            "details": {},
        }


class Invalid(Refused):
    """The request does not follow the protocol."""

    def __init__(self, message: str, *, status: str = "400 Bad Request") -> None:
        super().__init__(message, status=status, code="INVALID_REQUEST", category="validation")


class Unable(Refused):
    """The request follows the protocol, but this arm cannot do the work."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status="200 OK", code="NOT_SUPPORTED", category="validation")


@dataclass(frozen=True)
class Task:
    """The parts of a task that this arm uses."""

    task_id: str
    goal: str
    context: dict[str, Any]


def read_body(environ: Mapping[str, Any]) -> bytes:
    """Read as many bytes as Content-Length says; refuse too many without reading them."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if not (announced.isascii() and announced.isdigit() and len(announced) < 10):
        raise Invalid("Send a Content-Length header.", status="411 Length Required")
    length = int(announced)
    if length > MAX_BODY_BYTES:
        raise Invalid(
            f"The body must not exceed {MAX_BODY_BYTES} bytes.", status="413 Content Too Large"
        )
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise Invalid("The body is shorter than its Content-Length.")
    return body


def parse(body: bytes) -> Task:
    """Parse the body of a request.

    Raises:
        Invalid
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("The body must be valid JSON.") from None
    contract = fields.get("task_contract") if isinstance(fields, dict) else None
    if not isinstance(contract, dict):
        raise Invalid("task_contract must be an object.")
    task_id, goal, context = (contract.get(name) for name in ("task_id", "goal", "context"))
    if not isinstance(task_id, str) or not isinstance(goal, str):
        raise Invalid("task_contract.task_id and task_contract.goal must be strings.")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise Invalid("task_contract.context must be an object.")
    return Task(task_id, goal, context)
