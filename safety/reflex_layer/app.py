"""The Reflex Layer as a WSGI application, without a framework.

A text lives only as long as its request: nothing here logs or keeps it, and an answer holds
no more of it than the `matched_text` of its findings.
"""

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST

from . import __version__, metrics
from .request import Refused, read_request, request_id
from .screening import screen

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STARTED = time.monotonic()
JSON = "application/json"
OK = "200 OK"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer before it is given to the server."""

    status: str
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer one request; whatever fails, the answer has the protocol's shape."""
    identifier = request_id(environ)
    try:
        response = respond(environ, identifier)
    except Refused as refused:
        response = refusal(refused, identifier)
    except Exception as error:
        log_failure(error, identifier)
        failed = Refused("500 Internal Server Error", "INTERNAL_ERROR", "The screening failed.")
        response = refusal(failed, identifier)
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("X-Request-ID", identifier),
        *response.headers,
    ]
    start_response(response.status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def respond(environ: Mapping[str, Any], identifier: str) -> Response:
    """Route a request by path, then by method."""
    route = ROUTES.get(environ.get("PATH_INFO", ""))
    if route is None:
        raise Refused("404 Not Found", "NOT_FOUND", "There is nothing at this path.")
    methods, view = route
    if environ["REQUEST_METHOD"] not in methods:
        allow = ", ".join(methods)
        raise Refused("405 Method Not Allowed", "METHOD_NOT_ALLOWED", f"Use {allow}.", allow)
    return view(environ, identifier)


def process(environ: Mapping[str, Any], identifier: str) -> Response:
    """Screen the text of the request."""
    outcome = "error"
    try:
        request = read_request(environ)
        started = time.perf_counter()
        answer = screen(
            request.text, check_pii=request.check_pii, check_injection=request.check_injection
        )
        seconds = time.perf_counter() - started
        outcome = answer["status"]
    except Refused:
        outcome = "refused"
        raise
    finally:
        metrics.REQUESTS.labels(outcome).inc()
    metrics.SECONDS.observe(seconds)
    metrics.count_findings(answer["pii_matches"], answer["injection_matches"])
    return json_response(
        OK,
        {
            "request_id": identifier,
            **answer,
            "cache_hit": False,
            "processing_time_ms": round(seconds * 1000, 3),
        },
    )


def health(_environ: Mapping[str, Any], _identifier: str) -> Response:
    uptime = round(time.monotonic() - STARTED, 3)
    fields = {"status": "healthy", "version": __version__, "uptime_seconds": uptime}
    return json_response(OK, fields)


def ready(_environ: Mapping[str, Any], _identifier: str) -> Response:
    """Answer that the service is ready: it needs nothing but itself."""
    checks = {"redis": "disabled", "config": "ok"}
    return json_response(OK, {"status": "ready", "ready": True, "checks": checks})


def exposition(_environ: Mapping[str, Any], _identifier: str) -> Response:
    return Response(OK, CONTENT_TYPE_LATEST, metrics.exposition())


def json_response(
    status: str, fields: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    return Response(status, JSON, json.dumps(fields, ensure_ascii=False).encode(), headers)


def refusal(refused: Refused, identifier: str) -> Response:
    """Return the protocol's error body."""
    fields = {
        "code": refused.code,
        "message": refused.status.partition(" ")[2],
        "detail": refused.detail,
        "request_id": identifier,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return json_response(
        refused.status, fields, (("Allow", refused.allow),) if refused.allow else ()
    )


def log_failure(error: Exception, identifier: str) -> None:
    """Log where it failed, without the message, which may quote the text."""
    places = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger.error(
        "A request failed. request_id=%s error=%s at=%s",
        identifier,
        type(error).__name__,
        " > ".join(places),
    )


View = Callable[[Mapping[str, Any], str], Response]

ROUTES: dict[str, tuple[tuple[str, ...], View]] = {
    "/process": (("POST",), process),
    "/health": (("GET", "HEAD"), health),
    "/ready": (("GET", "HEAD"), ready),
    "/metrics": (("GET", "HEAD"), exposition),
}
