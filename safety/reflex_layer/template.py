"""The server's side of the template process, from which the processes of the pool are forked.

The server has threads, so it cannot safely fork processes itself. This module imports nothing of
the engine, so the template can start before the server imports the engine, and both import it at
the same time.
"""

import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).parents[2]
A_BYTE = b"\0"


class Template:
    """The template process, started again if it has died; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def fork(self, connection: Connection) -> None:
        """Have a process forked that answers requests over `connection`.

        If the template dies meanwhile, the connection is closed.
        """
        with self._lock:
            if self._process.poll() is not None:
                self._socket.close()
                self._start()
            socket.send_fds(self._socket, [A_BYTE], [connection.fileno()])

    def end(self) -> None:
        """Kill the template process; the next fork starts a new one."""
        self._process.kill()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", f"{__package__}.template_process", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal must reach only the server, which then ends its processes.
                process_group=0,
            )
