"""The client of a key or token: one statement finds it and, if it has a limit, counts the request.

Once a minute, a second statement notes that the key or token was used. The first token of a subject
adds its client.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from tasks.clients.caller import Caller
from tasks.clients.current import current_client
from tasks.clients.exceptions import CredentialsRefused
from tasks.clients.keys import digest_of
from tasks.clients.rate_limits import COUNT, SPACING, Usage
from tasks.clients.tokens.verification import EXPIRED, Claims
from tasks.models import Client

UNKNOWN: Final = "unknown"
REVOKED: Final = "revoked"
DISABLED: Final = "disabled"

_COUNT_OF_CLIENT: Final = COUNT.format(
    source=f"""(
        SELECT 'client:' || client_id AS key, {SPACING.format(limit="rate_limit")} AS spacing
        FROM found WHERE refused_for IS NULL AND rate_limit IS NOT NULL
    ) AS given"""  # noqa: S608 - constants
)
_FIND_AND_COUNT: Final = f"""
    WITH found AS MATERIALIZED ({{found}}), counted AS ({_COUNT_OF_CLIENT})
    SELECT is_allowed, ahead_seconds, found.* FROM found LEFT JOIN counted ON true
"""  # noqa: S608 - constants
_FIND_BY_KEY: Final = _FIND_AND_COUNT.format(
    found=f"""
        SELECT CASE WHEN disabled_at IS NOT NULL THEN '{DISABLED}'
                WHEN revoked_at IS NOT NULL THEN '{REVOKED}'
                WHEN expires_at <= clock_timestamp() THEN '{EXPIRED}' END AS refused_for,
            last_used_at > clock_timestamp() - interval '1 minute' AS is_use_noted,
            coalesce(rate_limit, %s::integer) AS rate_limit, max_pending, client_id, name,
            scopes, expires_at
        FROM api_keys JOIN clients ON clients.id = client_id
        WHERE digest = %s"""  # noqa: S608 - constants
)
_FIND_BY_SUBJECT: Final = _FIND_AND_COUNT.format(
    found=f"""
        SELECT CASE WHEN disabled_at IS NOT NULL THEN '{DISABLED}' END AS refused_for,
            token_used_at > clock_timestamp() - interval '1 minute' AS is_use_noted,
            coalesce(rate_limit, %s::integer) AS rate_limit, max_pending, id AS client_id, name
        FROM clients
        -- The index has the first condition, too.
        WHERE issuer <> '' AND issuer = %s AND subject = %s"""  # noqa: S608 - constants
)
# At most once a minute: of several requests at the same time, the first one notes it.
_NOTE_USE: Final = """
    UPDATE {table} SET {column} = clock_timestamp()
    WHERE {known_by} AND (
        {column} IS NULL OR {column} <= clock_timestamp() - interval '1 minute'
    )
"""
_NOTE_USE_OF_KEY: Final = _NOTE_USE.format(
    table="api_keys", column="last_used_at", known_by="digest = %s"
)
_NOTE_USE_OF_TOKEN: Final = _NOTE_USE.format(
    table="clients", column="token_used_at", known_by="id = %s"
)


class _Found(NamedTuple):
    """The columns that both statements return."""

    is_allowed: bool
    ahead_seconds: float
    refused_for: str | None
    is_use_noted: bool | None
    rate_limit: int | None
    max_pending: int | None
    client_id: UUID
    name: str


def admit_by_key(key: str, rate_limit: int | None) -> Caller:
    """Return who shows a key, which has the form of one.

    Args:
        rate_limit: requests a minute of clients without a limit of their own; None for no limit.

    Raises:
        CredentialsRefused: there is no such key, or it does not work.
    """
    digest = digest_of(key)
    row = _row(_FIND_BY_KEY, rate_limit, digest)
    if row is None:
        raise CredentialsRefused(UNKNOWN)
    *columns, scopes, expires_at = row
    found = _checked(columns)
    if not found.is_use_noted:
        _execute(_NOTE_USE_OF_KEY, digest)
    return _caller(found, scopes, expires_at)


def admit_by_token(claims: Claims, rate_limit: int | None) -> Caller:
    """Return who shows a good token, and add its client if this is its first one.

    Args:
        rate_limit: requests a minute of clients without a limit of their own; None for no limit.

    Raises:
        CredentialsRefused: the client is disabled.
    """
    known_by = rate_limit, claims.issuer, claims.subject
    row = _row(_FIND_BY_SUBJECT, *known_by)
    if row is None:
        Client.objects.add_of_issuer(claims.issuer, claims.subject)
        row = _row(_FIND_BY_SUBJECT, *known_by)
    found = _checked(row)
    if not found.is_use_noted:
        _execute(_NOTE_USE_OF_TOKEN, found.client_id)
    return _caller(found, claims.scopes, claims.expires_at)


def _row(statement: str, *parameters: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()


def _execute(statement: str, parameter: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [parameter])


def _checked(columns: Iterable[Any]) -> _Found:
    found = _Found(*columns)
    # Also of a request that is refused: the log tells staff whom they have turned away.
    current_client.set(found.name)
    if found.refused_for is not None:
        raise CredentialsRefused(found.refused_for)
    return found


def _caller(found: _Found, scopes: Iterable[str], expires_at: datetime | None) -> Caller:
    limit = found.rate_limit
    usage = None if limit is None else Usage(limit, found.is_allowed, found.ahead_seconds)
    return Caller(
        found.client_id, found.name, frozenset(scopes), expires_at, found.max_pending, usage
    )
