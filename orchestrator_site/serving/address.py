"""The address that the service listens on."""

import os
import socket


def in_url(host: str) -> str:
    """Return `host` as it is written in a URL, with brackets around an IPv6 address."""
    return f"[{host}]" if ":" in host else host


def why_unusable(host: str, port: int) -> str | None:
    """Return why it is impossible to listen on the address, None if it is possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None
