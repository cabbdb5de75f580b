"""`ORCHESTRATOR_DATABASE_URL`, read by libpq itself."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

# The specification's own form names a driver of another stack; what it means is clear.
_SCHEME = re.compile(r"(postgresql(\+(asyncpg|psycopg))?|postgres)://")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

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
    _check(parameters)
    entries = {
        _DJANGO_NAMES[key]: str(parameters.pop(key))
        for key in [*parameters]
        if key in _DJANGO_NAMES
    }
    return {**entries, "OPTIONS": parameters}


def place_of(entries: Mapping[str, Any]) -> str:
    """Return name and host of the database in entries of DATABASES, without its password."""
    host = entries.get("HOST") or "this machine"
    port = entries.get("PORT")
    return f"{entries['NAME']} on {host}" + (f", port {port}" if port else "")


def _check(parameters: dict[str, Any]) -> None:
    """Refuse what libpq itself would find fault with only when it connects."""
    if not parameters.get("dbname"):
        raise ValueError("names no database: append /database to the host")
    if "@" in str(parameters.get("host", "")):
        # Else the rest of the password would be looked up, and logged, as a host.
        raise ValueError("has an @ in its host: write the one in the password as %40")
    for name in ("port", "connect_timeout"):
        # One for each host, where there are several.
        for value in str(parameters.get(name, "1")).split(","):
            if not value.isdecimal() or not 0 < int(value) < 65536:
                raise ValueError(f"has a {name} that is no number from 1 to 65535")
    if parameters.get("sslmode", "prefer") not in _SSL_MODES:
        raise ValueError(f"has an sslmode that is none of {', '.join(_SSL_MODES)}")
