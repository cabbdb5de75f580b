"""Inserting rows of several tables with one statement.

One statement is a transaction of its own, which saves BEGIN, COMMIT and their round trips. The rows
must have all their values: nothing is read back.
"""

import functools
from collections.abc import Iterable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from tasks.models import IdempotencyKey


def insert_together(*rows: models.Model) -> None:
    """Insert `rows`, all or none."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_statement(*map(type, rows)), _values(rows))


def insert_claimed(claim: IdempotencyKey, *rows: models.Model) -> bool:
    """Insert `claim` and `rows`, or nothing if another request has claimed the same key.

    If the other request is still storing its answer, this waits for it. An expired claim is taken
    over.

    Returns:
        Whether the rows were inserted.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_claiming_statement(*map(type, rows)), _values((claim, *rows)))
        return bool(cursor.rowcount)


def _values(rows: Iterable[models.Model]) -> list[Any]:
    # The proxy `connection` would cost a lookup for each value.
    connection = connections[DEFAULT_DB_ALIAS]
    return [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in _given_fields(type(row))
    ]


# The ORM would compile the statements every time.


@functools.cache
def _statement(*tables: type[models.Model]) -> str:
    """Return the statement for one row of each table."""
    *first, last = (f"{_into(table)} VALUES ({_placeholders(table)})" for table in tables)
    return _with(first, last)


@functools.cache
def _claiming_statement(*tables: type[models.Model]) -> str:
    """Return the statement for a claim, and one row of each table if the claim is won."""
    changed = [field.column for field in _given_fields(IdempotencyKey)]
    claim = f"""
        {_into(IdempotencyKey)} VALUES ({_placeholders(IdempotencyKey)})
        ON CONFLICT (client_id, key_hmac) DO UPDATE
        SET {", ".join(f"{column} = excluded.{column}" for column in changed)}
        WHERE idempotency_keys.expires_at <= clock_timestamp()
        RETURNING true
    """
    *first, last = (f"{_into(table)} SELECT {_placeholders(table)} FROM part_0" for table in tables)
    return _with([claim, *first], last)


def _with(first: Iterable[str], last: str) -> str:
    parts = ", ".join(f"part_{number} AS ({insert})" for number, insert in enumerate(first))
    return f"WITH {parts} {last}" if parts else last


@functools.cache
def _given_fields(table: type[models.Model]) -> list[models.Field]:
    """Return all fields except generated ones."""
    return [field for field in table._meta.local_concrete_fields if not field.generated]


def _into(table: type[models.Model]) -> str:
    columns = [f'"{field.column}"' for field in _given_fields(table)]
    # The names are those of our models, not input.
    return f'INSERT INTO "{table._meta.db_table}" ({", ".join(columns)})'


def _placeholders(table: type[models.Model]) -> str:
    return ", ".join(["%s"] * len(_given_fields(table)))
