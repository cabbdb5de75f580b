"""The server's end of the template that the processes of the pool are forked from.

The process that serves has threads, so it cannot safely fork them itself. This module imports
nothing of the engine: a template that is made first imports it while the server does so too.
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
    """One process beside the server, replaced if it has died. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def fork(self, connection: Connection) -> None:
        """Have a process forked that works for the other end of the connection.

        A template that dies meanwhile closes the connection.
        """
        with self._lock:
            if self._process.poll() is not None:
                self._socket.close()
                self._start()
            socket.send_fds(self._socket, [A_BYTE], [connection.fileno()])

    def end(self) -> None:
        """End it; the next process is forked from a new one."""
        self._process.kill()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", f"{__package__}.template_process", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal ends the server, which ends its processes.
                process_group=0,
            )
