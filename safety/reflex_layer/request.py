"""Read and validate a request to `/process`.

Error messages never quote the request, because it may contain a secret.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import uuid4

LARGEST_BODY_BYTES = 1024 * 1024
LARGEST_TEXT_BYTES = 100_000
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
CONTENT_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class Refused(Exception):
    """The request is refused with this answer."""

    def __init__(
        self, status: str, code: str, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


class Invalid(Refused):
    """The request does not follow the protocol."""

    def __init__(self, detail: str) -> None:
        super().__init__("400 Bad Request", "INVALID_REQUEST", detail)


@dataclass(frozen=True, slots=True)
class Request:
    """The text to screen, and the checks to run."""

    text: str
    check_pii: bool
    check_injection: bool


def request_id(environ: Mapping[str, Any]) -> str:
    """Return the caller's request id if it is safe in headers and logs, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def parse(body: bytes) -> Request:
    """Parse and validate the body of a request, or raise `Refused`."""
    fields = parsed(body)
    for name in ("check_pii", "check_injection", "use_cache"):
        if not isinstance(fields.get(name, True), bool):
            raise Invalid(f"{name} must be true or false.")
    if not isinstance(fields.get("user_id"), str | None):
        raise Invalid("user_id must be a string or null.")
    return Request(
        text=valid_text(fields.get("text")),
        check_pii=fields.get("check_pii", True),
        check_injection=fields.get("check_injection", True),
    )


def read_body(environ: Mapping[str, Any]) -> bytes:
    """Read as many bytes as Content-Length says; refuse too many without reading them."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced:
        raise Refused("411 Length Required", "LENGTH_REQUIRED", "Send a Content-Length header.")
    if not CONTENT_LENGTH.fullmatch(announced):
        raise Invalid("Content-Length must be a number.")
    length = int(announced)
    if length > LARGEST_BODY_BYTES:
        raise Refused(
            "413 Content Too Large",
            "BODY_TOO_LARGE",
            f"The body must not exceed {LARGEST_BODY_BYTES} bytes.",
        )
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise Invalid("The body is shorter than its Content-Length.")
    return body


def parsed(body: bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: no duplicate keys, only finite numbers."""
    try:
        fields = json.loads(
            body.decode(),
            object_pairs_hook=object_of_unique_keys,
            parse_constant=refuse_number,
            parse_float=finite,
        )
    except UnicodeDecodeError:
        raise Invalid("The body must be UTF-8.") from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None
    # For an integer with thousands of digits, Python raises a plain ValueError.
    except ValueError:
        raise Invalid("The body must be valid JSON.") from None
    if not isinstance(fields, dict):
        raise Invalid("The body must be a JSON object.")
    return fields


def object_of_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Invalid("The body contains a duplicate key.")
    return fields


def refuse_number(_name: str) -> NoReturn:
    raise Invalid("Numbers must be finite.")


def finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise Invalid("Numbers must be finite.")
    return number


def valid_text(text: object) -> str:
    """Return the text if it is a string of an allowed size that UTF-8 can encode."""
    if not isinstance(text, str):
        raise Invalid("text must be a string.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid("text must not contain lone surrogates.") from None
    if not 1 <= size <= LARGEST_TEXT_BYTES:
        raise Invalid(f"text must have 1 to {LARGEST_TEXT_BYTES} bytes of UTF-8.")
    return text
