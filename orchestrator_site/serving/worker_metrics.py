"""`/health` and `/metrics` of a worker, over HTTP on a port of its own.

`/metrics` has what belongs to the process. What workers count together is in PostgreSQL, and the
web server's `/metrics` adds it up.
"""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, generate_latest

RECEIVE_SECONDS: Final = 5
_OPEN_CALLS: Final = Gauge(
    "octollm_orchestrator_worker_open_calls", "Calls to arms that this worker waits for"
)


class Watched(Protocol):
    """A worker, as far as it is looked at here."""

    @property
    def is_healthy(self) -> bool: ...

    @property
    def open_calls(self) -> int: ...


def serve_worker_metrics(host: str, port: int, worker: Watched) -> ThreadingHTTPServer:
    """Serve in a thread, until the process ends.

    Raises:
        OSError: the port cannot be used.
    """
    _OPEN_CALLS.set_function(lambda: worker.open_calls)

    class Handler(_Handler):
        watched = worker

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="worker-metrics", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    watched: Watched
    timeout = RECEIVE_SECONDS

    def do_GET(self) -> None:
        match self.path:
            case "/health":
                is_healthy = self.watched.is_healthy
                status = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
                word = b"healthy" if is_healthy else b"unhealthy"
                self._answer(status, "application/json", b'{"status": "%s"}' % word)
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"")

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: probes come every few seconds."""
