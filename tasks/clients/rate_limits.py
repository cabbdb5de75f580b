"""Limits of requests a minute, exact over all processes and machines.

The generic cell rate algorithm (GCRA, ITU-T I.371, appendix I): requests that come evenly are
`spacing` apart, and a caller may be up to a minute ahead of them. So after a pause a whole minute's
requests pass at once, and then one for each `spacing`. PostgreSQL's clock counts, after the row is
locked.
"""

import math
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from django.db import connection

from tasks.clients.exceptions import RateLimited

PERIOD_SECONDS: Final = 60
MAX_RATE_LIMIT: Final = 1_000_000
# Providers give a home or a machine this many bits of an IPv6 address.
IPV6_NETWORK_BITS: Final = 64

# The time between two requests, rounded down so that no limit is too low by one.
SPACING: Final = f"{PERIOD_SECONDS} * 1000000 / {{limit}} * interval '1 microsecond'"
# Counts one request for each row of `source`, which gives a key and a spacing.
COUNT: Final = f"""
    INSERT INTO rate_limits AS held (key, arrival_at, spacing, is_allowed)
    SELECT key, clock_timestamp() + spacing, spacing, true FROM {{source}}
    ON CONFLICT (key) DO UPDATE SET (arrival_at, spacing, is_allowed) = (
        SELECT CASE WHEN is_allowed THEN next_at ELSE held.arrival_at END, excluded.spacing,
            is_allowed
        FROM (SELECT clock_timestamp() AS now_at) AS clock,
        LATERAL (SELECT greatest(held.arrival_at, now_at) + excluded.spacing AS next_at) AS next,
        LATERAL (
            SELECT next_at <= now_at + interval '{PERIOD_SECONDS} seconds' AS is_allowed
        ) AS answer
    )
    RETURNING is_allowed, extract(epoch FROM arrival_at - clock_timestamp())::float AS ahead_seconds
"""  # noqa: S608 - constants
_COUNT_ONE: Final = COUNT.format(
    source=f"(SELECT %s::text AS key, {SPACING.format(limit='%s::integer')} AS spacing) AS given"
)


class Usage(NamedTuple):
    """What a request has left of a limit.

    Attributes:
        limit: requests a minute.
        is_allowed: whether the request is within the limit.
        ahead_seconds: how far the caller is ahead of requests that come evenly.
    """

    limit: int
    is_allowed: bool
    ahead_seconds: float

    @property
    def remaining(self) -> int:
        """How many further requests would pass now."""
        left = (PERIOD_SECONDS - self.ahead_seconds) * self.limit / PERIOD_SECONDS
        return max(0, min(self.limit, math.floor(left)))

    @property
    def retry_after_seconds(self) -> int:
        """After how many whole seconds the next request passes, at least 1."""
        wait = self.ahead_seconds + PERIOD_SECONDS / self.limit - PERIOD_SECONDS
        return max(1, math.ceil(wait))

    def check(self) -> None:
        if not self.is_allowed:
            raise RateLimited(self.retry_after_seconds)


def count(key: str, limit: int) -> None:
    """Count one request.

    Args:
        key: what is limited.
        limit: requests a minute.

    Raises:
        RateLimited: the request is beyond the limit, and does not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_ONE, [key, limit])
        Usage(limit, *cursor.fetchone()).check()


def address_key(address: str) -> str:
    """Return the key of the limit for requests from `address`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        # The peer of a Unix socket has no address.
        return f"address:{address}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ip_network((parsed, IPV6_NETWORK_BITS), strict=False)}"
    return f"address:{parsed}"
