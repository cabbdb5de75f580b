"""The template process of the pool: `python -m safety.reflex_layer.template_process FD`.

It imports the engine once and has a single thread, so processes can be forked from it in
milliseconds. The template ends when the server closes the socket. Each process of the pool ends
when the server closes its connection. So all of them end with the server, even if it is killed.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
from multiprocessing.connection import Connection

from .processing import process

LOWER_PRIORITY = 5


def main() -> None:
    """Fork a process for each connection that the server sends."""
    # Without this, ended processes would remain as zombies, because nothing waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Garbage collection no longer writes to the engine's memory, so the memory stays shared.
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as server:
        while connection := received(server):
            with connection:
                if os.fork() == 0:
                    server.close()
                    serve(connection)
                    return


def received(server: socket.socket) -> Connection | None:
    """Return the next connection, or None if the server has ended."""
    with contextlib.suppress(OSError):
        _, descriptors, _, _ = socket.recv_fds(server, 1, 1)
        if descriptors:
            return Connection(descriptors[0])
    return None


def serve(connection: Connection) -> None:
    """Answer requests at a lower priority until the server closes the connection."""
    os.nice(LOWER_PRIORITY)
    with contextlib.suppress(EOFError, OSError):
        connection.send(os.getpid())
        while True:
            body, identifier = connection.recv()
            connection.send(process(body, identifier))


if __name__ == "__main__":
    main()
