"""The bundled Reflex Layer as a separate process, on a socket that the test has bound."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.environment import ROOT

COMMAND = [sys.executable, "-m", "safety.reflex_layer"]
TIMEOUT_SECONDS = 20


@contextmanager
def serving(**environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a process and its port. Requests wait in the listener until the process is ready."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [*COMMAND, "--fd", str(listener.fileno())],
            cwd=ROOT,
            env=os.environ | environment,
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    with process:
        try:
            yield process, port
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_SECONDS)


def post(url: str, body: object = None, **options: Any) -> requests.Response:
    if body is not None:
        options["json"] = body
    return requests.post(f"{url}/process", timeout=TIMEOUT_SECONDS, **options)


def samples(url: str) -> dict[str, float]:
    lines = requests.get(f"{url}/metrics", timeout=TIMEOUT_SECONDS).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs if "_created" not in name}
