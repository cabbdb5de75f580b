"""`ORCHESTRATOR_DATABASE_URL`, read by libpq itself."""

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

# The specification's own form names a driver of another stack; what it means is clear.
_SCHEME = re.compile(r"(postgresql(\+(asyncpg|psycopg))?|postgres)://")

# Django's names for what libpq calls otherwise; the rest goes to libpq as it is.
_DJANGO_NAMES = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def parse_database_url(url: str) -> dict[str, Any]:
    """Return the entries of Django's DATABASES for `url`.

    libpq does the reading, so that percent-encoding, IPv6 hosts, `?sslmode=` and the
    other parameters, and `?host=/socket/dir` mean what they mean everywhere.

    Raises:
        ValueError: says what is wrong without quoting the URL, which holds a password.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ValueError("must begin with postgresql:// (PostgreSQL is the only database)")
    try:
        parameters = conninfo_to_dict("postgresql://" + url[scheme.end() :])
    except psycopg.ProgrammingError:
        # Without the original, whose message quotes parts of the URL.
        raise ValueError(
            "is no PostgreSQL URL: it should look like "
            "postgresql://user:password@host:5432/database, special characters in "
            "user and password percent-encoded"
        ) from None
    if not parameters.get("dbname"):
        raise ValueError("names no database: append /database to the host")
    entries = {
        _DJANGO_NAMES[key]: str(parameters.pop(key))
        for key in [*parameters]
        if key in _DJANGO_NAMES
    }
    return {**entries, "OPTIONS": parameters}
