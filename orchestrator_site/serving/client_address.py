"""Whose request it is, behind any number of proxies."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, as the outermost of our own proxies saw it.

    Each proxy appends the address it was called from to `X-Forwarded-For`; what stands
    left of our proxies' entries is the client's own word. Without enough entries, the
    request did not come by way of the proxies, and its peer is the client.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    count = settings.TRUSTED_PROXIES
    if count == 0:
        return peer
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if len(forwarded) < count:
        return peer
    try:
        return str(ip_address(forwarded[-count].strip()))
    except ValueError:
        # Any text could stand there, and it goes into logs and receipts.
        return peer
