"""The client's address, behind any number of proxies."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, as the outermost of our own proxies saw it.

    Each proxy appends its peer's address to `X-Forwarded-For`. Entries before those of our own
    proxies come from the client and are not trusted. A request with too few entries has bypassed
    the proxies, so its peer is the client.
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
        # The entry may be any text, and this address goes into logs and receipts.
        return peer
