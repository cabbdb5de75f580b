"""Which addresses of an issuer may be fetched."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

# A name or an address, and a port. `urlsplit` finds an address in brackets beside other text, too.
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w-]+(\.[\w-]+)*)(:\d+)?", re.ASCII)


def is_safe_address(url: str) -> bool:
    """Return whether `url` is an https address, or an http address of this machine.

    Over plain http, an attacker on the way could add a key of their own to the key set.
    """
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        is_whole = _AUTHORITY.fullmatch(parts.netloc) and parts.port != 0 and not parts.fragment
    except ValueError:
        return False
    if not is_whole or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_of_this_machine(parts))


def _is_of_this_machine(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
