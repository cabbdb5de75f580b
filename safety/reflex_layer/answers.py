"""The answers of the service: JSON, or the protocol's error body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .request import Refused

JSON = "application/json"
OK = "200 OK"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, before the server sends it."""

    status: str
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def json_response(
    status: str, fields: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    return Response(status, JSON, json.dumps(fields, ensure_ascii=False).encode(), headers)


def refusal(refused: Refused, identifier: str) -> Response:
    """Return an answer with the protocol's error body."""
    fields = {
        "code": refused.code,
        "message": refused.status.partition(" ")[2],
        "detail": refused.detail,
        "request_id": identifier,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return json_response(refused.status, fields, refused.headers)
