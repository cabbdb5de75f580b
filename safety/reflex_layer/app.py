"""The Reflex Layer as a WSGI application, without a framework.

No text is logged or kept after its request. An answer contains only the parts of the text that
are the `matched_text` of findings.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST

from . import __version__, metrics
from .answers import OK, Response, json_response, refusal
from .pool import Overloaded, Pool
from .processing import Processed, failed, log_failure, process
from .request import Refused, read_body, request_id
from .template import Template

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STARTED = time.monotonic()

# Screening a text of this size takes as long as passing it to another process and back.
LARGEST_SHORT_BODY_BYTES = 8 * 1024


class Application:
    """Answers long requests to `/process` in a pool, and all others in the server's threads.

    At most `slots` long requests are in progress at a time.
    """

    def __init__(self, slots: int, template: Template) -> None:
        self._pool = Pool(slots, template)
        self._routes: dict[str, tuple[tuple[str, ...], View]] = {
            "/process": (("POST",), self.process),
            "/health": (("GET", "HEAD"), health),
            "/ready": (("GET", "HEAD"), ready),
            "/metrics": (("GET", "HEAD"), exposition),
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request. Errors of any kind are answered in the protocol's format too."""
        identifier = request_id(environ)
        try:
            response = self.respond(environ, identifier)
        except Refused as refused:
            response = refusal(refused, identifier)
        except Exception as error:
            log_failure(error, identifier)
            response = failed(identifier).response
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("X-Request-ID", identifier),
            *response.headers,
        ]
        start_response(response.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def respond(self, environ: Mapping[str, Any], identifier: str) -> Response:
        """Route a request by path, then by method."""
        route = self._routes.get(environ.get("PATH_INFO", ""))
        if route is None:
            raise Refused("404 Not Found", "NOT_FOUND", "There is nothing at this path.")
        methods, view = route
        if environ["REQUEST_METHOD"] not in methods:
            allow = ", ".join(methods)
            raise Refused(
                "405 Method Not Allowed",
                "METHOD_NOT_ALLOWED",
                f"Use {allow}.",
                (("Allow", allow),),
            )
        return view(environ, identifier)

    def process(self, environ: Mapping[str, Any], identifier: str) -> Response:
        """Screen the text of the request, and count the outcome."""
        outcome = "error"
        try:
            processed = self.processed(read_body(environ), identifier)
            outcome = processed.outcome
        except Overloaded:
            outcome = "overloaded"
            raise
        except Refused:
            outcome = "refused"
            raise
        finally:
            metrics.REQUESTS.labels(outcome).inc()
        if processed.seconds is not None:
            metrics.SECONDS.observe(processed.seconds)
        metrics.count_findings(processed.findings)
        return processed.response

    def processed(self, body: bytes, identifier: str) -> Processed:
        if len(body) > LARGEST_SHORT_BODY_BYTES:
            return self._pool.process(body, identifier)
        return process(body, identifier)


def health(_environ: Mapping[str, Any], _identifier: str) -> Response:
    uptime = round(time.monotonic() - STARTED, 3)
    fields = {"status": "healthy", "version": __version__, "uptime_seconds": uptime}
    return json_response(OK, fields)


def ready(_environ: Mapping[str, Any], _identifier: str) -> Response:
    """Answer that the service is ready: it has no dependencies."""
    checks = {"redis": "disabled", "config": "ok"}
    return json_response(OK, {"status": "ready", "ready": True, "checks": checks})


def exposition(_environ: Mapping[str, Any], _identifier: str) -> Response:
    return Response(OK, CONTENT_TYPE_LATEST, metrics.exposition())


View = Callable[[Mapping[str, Any], str], Response]
