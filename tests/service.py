"""The service as in production: gunicorn and its workers, in their own processes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil
import requests

from tests.environment import ROOT

STOP_SECONDS = 30
ANSWER_SECONDS = 30


class Service:
    """A running service.

    Args:
        folder: for its log.
        config: gunicorn's configuration module.
        port: the port to listen on; by default any free one.
        variables: settings without their prefix; they override the tests' environment.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "orchestrator_site.serving.gunicorn_conf",
        port: int = 0,
        **variables: Any,
    ) -> None:
        self.log = folder / "service.log"
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = os.environ | {
            f"ORCHESTRATOR_{name}": str(value) for name, value in variables.items()
        }
        # The socket listens before the process starts. A request simply waits for its answer, so
        # no test has to wait for the start.
        with listener, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    f"--config=python:{config}",
                    f"--bind=fd://{listener.fileno()}",
                ],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop the service gracefully; return its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, timeout=ANSWER_SECONDS, allow_redirects=False, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def submit(self, body: Any = None, **fields: Any) -> requests.Response:
        """Submit `body`: bytes as they are, else as JSON; by default a goal and `fields`."""
        if body is None:
            body = {"goal": "Analyze sentiment of user reviews"} | fields
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request(
            "POST", "/submit", data=data, headers={"Content-Type": "application/json"}
        )

    def raw(self, data: bytes) -> bytes:
        """Send bytes, valid HTTP or not, and return all received bytes.

        The answer may arrive, and the connection end, before everything is sent.
        """
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while part := peer.recv(65536):
                    received += part
        return received

    def metrics(self) -> dict[str, float]:
        """Return the value of each series of /metrics, by name and labels."""
        lines = self.get("/metrics").text.splitlines()
        series = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in series}

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()
