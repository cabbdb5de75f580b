"""`ORCHESTRATOR_DATABASE_URL`, parsed by libpq."""

import re
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.conninfo import conninfo_to_dict

# The specification's example names asyncpg, a driver that is not used here; it is accepted.
_SCHEME = re.compile(r"(postgresql(\+(asyncpg|psycopg))?|postgres)://")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

OPTIONS: Final[dict[str, Any]] = {
    # The server cancels the statement of a client that has disconnected.
    "options": "-c client_connection_check_interval=1000",
    # The database plans a statement once per connection, not once per request.
    "server_side_binding": True,
    "prepare_threshold": 5,
}
# libpq's parameters that have other names in Django; the other parameters go to libpq unchanged.
_DJANGO_NAMES = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def parse_database_url(url: str) -> dict[str, Any]:
    """Return the entries of Django's DATABASES for `url`.

    libpq parses the URL, so percent-encoding, IPv6 hosts, parameters such as `?sslmode=`, and
    `?host=/socket/dir` work as in any other client.

    Raises:
        ValueError: with a message that does not quote the URL, which holds a password.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ValueError("must begin with postgresql:// (PostgreSQL is the only database)")
    try:
        parameters = conninfo_to_dict("postgresql://" + url[scheme.end() :])
    except psycopg.ProgrammingError:
        # `from None`: the message of the original error quotes parts of the URL.
        raise ValueError(
            "is not a PostgreSQL URL: it should look like "
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


def entries_of(url: str) -> dict[str, Any]:
    """Return the entries of `url` with the options of our connections; those in the URL win.

    Raises:
        ValueError: as `parse_database_url`.
    """
    entries = parse_database_url(url)
    return {**entries, "OPTIONS": OPTIONS | entries["OPTIONS"]}


def use_database_url(url: str) -> None:
    """Let this process connect to another database; nothing may have connected before."""
    no_others = dict.fromkeys(_DJANGO_NAMES.values(), "")
    connections.settings[DEFAULT_DB_ALIAS].update(no_others | entries_of(url))


def place_of(entries: Mapping[str, Any]) -> str:
    """Return the database's name and host, but not its password, from entries of DATABASES."""
    host = entries.get("HOST") or "this machine"
    port = entries.get("PORT")
    return f"{entries['NAME']} on {host}" + (f", port {port}" if port else "")


def _check(parameters: dict[str, Any]) -> None:
    """Refuse values that libpq would only refuse when it connects."""
    if not parameters.get("dbname"):
        raise ValueError("names no database: append /database to the host")
    if "@" in str(parameters.get("host", "")):
        # Otherwise the rest of the password would be looked up, and logged, as a host.
        raise ValueError("has an @ in its host: write the one in the password as %40")
    for name in ("port", "connect_timeout"):
        # A URL with several hosts may have a value for each of them.
        for value in str(parameters.get(name, "1")).split(","):
            if not value.isdecimal() or not 0 < int(value) < 65536:
                raise ValueError(f"has a {name} that is not a number from 1 to 65535")
    if parameters.get("sslmode", "prefer") not in _SSL_MODES:
        raise ValueError(f"has an unknown sslmode: use one of {', '.join(_SSL_MODES)}")
