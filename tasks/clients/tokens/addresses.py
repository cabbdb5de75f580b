"""Which addresses of an issuer may be fetched."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def is_safe_address(url: str) -> bool:
    """Return whether `url` is an https address, or an http address of this machine.

    Whoever can change an answer on its way could put a key of their own into the key set.
    """
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not is_whole or parts.username is not None or parts.fragment or not _is_plain(url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_of_this_machine(parts))


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _is_of_this_machine(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
