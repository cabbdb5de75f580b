"""One of the processes of the pool: `python -m safety.reflex_layer.pool_process FD`.

It ends when the server closes the connection, in whatever way the server ended.
"""

import contextlib
import os
import sys
from multiprocessing.connection import Connection

from .processing import process

LOWER_PRIORITY = 5


def main() -> None:
    os.nice(LOWER_PRIORITY)
    with Connection(int(sys.argv[1])) as connection, contextlib.suppress(EOFError, OSError):
        connection.send("ready")
        while True:
            body, identifier = connection.recv()
            connection.send(process(body, identifier))


if __name__ == "__main__":
    main()
