"""Arms that are processes of their own."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.environment import ROOT

STOP_SECONDS = 10


@contextlib.contextmanager
def bundled_arm(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve the bundled arm; yield its address and its process."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    # The socket listens before the process starts, so no test has to wait for the start.
    with listener, (folder / "arm.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.arms.bundled", "--fd", str(listener.fileno())],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
    with ending(process):
        yield f"http://127.0.0.1:{port}", process


@contextlib.contextmanager
def ending(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Terminate a process at the end."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
