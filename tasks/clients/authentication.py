"""Who sends a request: which client by its key, or somebody anonymous."""

import functools
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from prometheus_client import Counter

from tasks.clients import rate_limits
from tasks.clients.current import current_client
from tasks.clients.exceptions import CredentialsRefused, ScopeMissing
from tasks.clients.keys import digest_of, is_well_formed
from tasks.clients.rate_limits import COUNT, SPACING, Usage
from tasks.clients.scopes import Scope

AUTHENTICATIONS: Final = Counter(
    "octollm_orchestrator_authentications_total",
    "Requests of the API by what they showed: a good key, nothing, or why the key was refused",
    ["result"],
)
ACCEPTED, ANONYMOUS = "accepted", "anonymous"
MALFORMED, UNKNOWN, REVOKED, EXPIRED, DISABLED = (
    "malformed",
    "unknown",
    "revoked",
    "expired",
    "disabled",
)
_RESULTS: Final = {
    result: AUTHENTICATIONS.labels(result)
    for result in (ACCEPTED, ANONYMOUS, MALFORMED, UNKNOWN, REVOKED, EXPIRED, DISABLED)
}

_COUNT_OF_CLIENT: Final = COUNT.format(
    source=f"""(
        SELECT 'client:' || client_id AS key, {SPACING.format(limit="rate_limit")} AS spacing
        FROM found WHERE result = '{ACCEPTED}' AND rate_limit IS NOT NULL
    ) AS given"""  # noqa: S608 - constants
)
# One statement finds the key, and counts the request if there is a limit. Otherwise it writes
# nothing.
_FIND_AND_COUNT: Final = f"""
    WITH found AS MATERIALIZED (
        SELECT client_id, name, scopes, max_pending,
            last_used_at > clock_timestamp() - interval '1 minute' AS is_use_noted,
            coalesce(rate_limit, %s::integer) AS rate_limit,
            CASE WHEN disabled_at IS NOT NULL THEN '{DISABLED}'
                WHEN revoked_at IS NOT NULL THEN '{REVOKED}'
                WHEN expires_at <= clock_timestamp() THEN '{EXPIRED}'
                ELSE '{ACCEPTED}' END AS result
        FROM api_keys JOIN clients ON clients.id = client_id
        WHERE digest = %s
    ), counted AS ({_COUNT_OF_CLIENT})
    SELECT result, client_id, name, scopes, max_pending, is_use_noted, rate_limit, is_allowed,
        ahead_seconds
    FROM found LEFT JOIN counted ON true
"""  # noqa: S608 - constants
# At most once a minute: of several requests at the same time, the first one notes it.
_NOTE_USE: Final = """
    UPDATE api_keys SET last_used_at = clock_timestamp()
    WHERE digest = %s AND (
        last_used_at IS NULL OR last_used_at <= clock_timestamp() - interval '1 minute'
    )
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        client_id: None for anonymous callers, who have none of the rest either.
        max_pending: the largest number of pending tasks; None for no limit.
        usage: of the limit of requests; None for no limit.
    """

    client_id: UUID | None = None
    name: str = ""
    scopes: frozenset[str] = frozenset()
    max_pending: int | None = None
    usage: Usage | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.client_id is None

    def require_key(self) -> UUID:
        """Return the id of the client.

        Raises:
            CredentialsRefused: the caller is anonymous.
        """
        if self.client_id is None:
            raise CredentialsRefused(ANONYMOUS)
        return self.client_id

    def require(self, scope: Scope) -> None:
        """Refuse callers that may not do this.

        Raises:
            CredentialsRefused: the caller is anonymous.
            ScopeMissing: the key does not have the scope.
        """
        self.require_key()
        if scope not in self.scopes:
            raise ScopeMissing(scope)


_ANONYMOUS_CALLER: Final = Caller()


class Authenticator:
    """Finds out who sends a request.

    Args:
        is_anonymous_allowed: whether requests without a key are let in.
        rate_limit: requests a minute of each client without a limit of its own, and of each
            address for anonymous requests and refused keys; None for no limit.
    """

    def __init__(self, *, is_anonymous_allowed: bool, rate_limit: int | None) -> None:
        self.is_anonymous_allowed = is_anonymous_allowed
        self._rate_limit = rate_limit

    def authenticate(self, key: str | None, *, address: str) -> Caller:
        """Return who sends a request, and count the request.

        Args:
            key: as the request shows it; None if it shows none.
            address: where the request comes from.

        Raises:
            CredentialsRefused: the key is not good, or there is none and there has to be one.
            RateLimited: the caller sends too many requests.
        """
        if key is None:
            _RESULTS[ANONYMOUS].inc()
            self._count_address(address)
            if not self.is_anonymous_allowed:
                raise CredentialsRefused(ANONYMOUS)
            return _ANONYMOUS_CALLER
        if not is_well_formed(key):
            raise self._refusal(MALFORMED, address)
        digest = digest_of(key)
        with connection.cursor() as cursor:
            cursor.execute(_FIND_AND_COUNT, [self._rate_limit, digest])
            row = cursor.fetchone()
        if row is None:
            raise self._refusal(UNKNOWN, address)
        result, client_id, name, scopes, max_pending, is_use_noted, limit, *counted = row
        if result != ACCEPTED:
            raise self._refusal(result, address)
        current_client.set(name)
        _RESULTS[ACCEPTED].inc()
        if not is_use_noted:
            with connection.cursor() as cursor:
                cursor.execute(_NOTE_USE, [digest])
        usage = Usage(limit, *counted) if limit is not None else None
        if usage is not None:
            usage.check()
        return Caller(client_id, name, frozenset(scopes), max_pending, usage)

    def _refusal(self, cause: str, address: str) -> CredentialsRefused:
        """Count a refused key; return the exception.

        Raises:
            RateLimited: too many requests with refused keys, or without a key, from this address.
        """
        _RESULTS[cause].inc()
        self._count_address(address)
        return CredentialsRefused(cause)

    def _count_address(self, address: str) -> None:
        if self._rate_limit is not None:
            rate_limits.count(rate_limits.address_key(address), self._rate_limit)


@functools.cache
def authenticator() -> Authenticator:
    """Return the authenticator of this process, built from the settings on first use."""
    return Authenticator(
        is_anonymous_allowed=settings.ANONYMOUS_ACCESS, rate_limit=settings.RATE_LIMIT
    )
