"""Ports for services that are told where to listen."""

import random
import socket


def free_port() -> int:
    """Return a free port below those that the kernel gives to outgoing connections.

    Other tests open thousands of connections, and one of them might take the port first.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            # Another process has it.
            continue
