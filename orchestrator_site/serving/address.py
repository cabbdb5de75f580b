"""The address that the service listens on."""

import os
import socket


def in_url(host: str) -> str:
    """Return `host` as a URL has it: an IPv6 address stands in brackets."""
    return f"[{host}]" if ":" in host else host


def why_unusable(host: str, port: int) -> str | None:
    """Return why nobody can listen there now, None if one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None
