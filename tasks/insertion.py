"""Inserting rows of several tables with one statement.

One statement is a transaction of its own, which saves BEGIN, COMMIT and their round trips. The rows
must have all their values: nothing is read back.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models

from tasks.models import IdempotencyKey


class Insert(NamedTuple):
    """One row.

    Attributes:
        into: the table and the columns in parentheses.
        values: one for each column.
        conflict: the clause that follows; empty if a conflict is an error.
    """

    into: str
    values: list[Any]
    conflict: str = ""


def insert_of(row: models.Model) -> Insert:
    """Return the row of `row`, with all fields except generated ones."""
    table = type(row)
    values = [getattr(row, name) for name in _names(table)]
    # The proxy `connection` would cost a lookup for each value.
    connection = connections[DEFAULT_DB_ALIAS]
    for place, field in _converted(table):
        values[place] = field.get_db_prep_save(values[place], connection)
    return Insert(_into(table), values)


def insert_together(*rows: Insert) -> None:
    """Insert `rows`, all or none."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_statement(_shape(rows)), _values(rows))


def insert_claimed(claim: IdempotencyKey, *rows: Insert) -> bool:
    """Insert `claim` and `rows`, or nothing if another request has claimed the same key.

    If the other request is still storing its answer, this waits for it. An expired claim is taken
    over.

    Returns:
        Whether the rows were inserted.
    """
    first = insert_of(claim)
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_claiming_statement(_shape(rows)), _values([first, *rows]))
        return bool(cursor.rowcount)


def _values(rows: Iterable[Insert]) -> list[Any]:
    return [value for row in rows for value in row.values]


class _Shape(NamedTuple):
    """What the statement has to know about a row."""

    into: str
    values: int
    conflict: str


def _shape(rows: Iterable[Insert]) -> tuple[_Shape, ...]:
    return tuple(_Shape(row.into, len(row.values), row.conflict) for row in rows)


# The ORM would compile the statements every time.


@functools.cache
def _statement(rows: tuple[_Shape, ...]) -> str:
    """Return the statement that inserts the rows."""
    return _with(
        [f"INSERT INTO {row.into} VALUES ({_marks(row.values)}) {row.conflict}" for row in rows]
    )


@functools.cache
def _claiming_statement(rows: tuple[_Shape, ...]) -> str:
    """Return the statement for a claim, and for the rows if the claim is won."""
    columns = [field.column for field in _given_fields(IdempotencyKey)]
    claim = f"""
        INSERT INTO {_into(IdempotencyKey)} VALUES ({_marks(len(columns))})
        ON CONFLICT (client_id, key_hmac) DO UPDATE
        SET {", ".join(f"{column} = excluded.{column}" for column in columns)}
        WHERE idempotency_keys.expires_at <= clock_timestamp()
        RETURNING true
    """
    return _with(
        [
            claim,
            *(
                # Without WHERE, PostgreSQL would take ON CONFLICT for the condition of a join.
                f"INSERT INTO {row.into} SELECT {_marks(row.values)} FROM part_0 WHERE true "
                f"{row.conflict}"
                for row in rows
            ),
        ]
    )


def _with(inserts: list[str]) -> str:
    """Return one statement for all; the number of rows that it reports is that of the last."""
    *first, last = inserts
    parts = ", ".join(f"part_{number} AS ({insert})" for number, insert in enumerate(first))
    return f"WITH {parts} {last}" if parts else last


@functools.cache
def _given_fields(table: type[models.Model]) -> list[models.Field]:
    """Return all fields except generated ones."""
    return [field for field in table._meta.local_concrete_fields if not field.generated]


@functools.cache
def _names(table: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in _given_fields(table))


@functools.cache
def _converted(table: type[models.Model]) -> list[tuple[int, models.Field]]:
    """Return the fields whose values psycopg would not take as they are, with their places."""
    kinds = (models.JSONField, models.DecimalField)
    fields = enumerate(_given_fields(table))
    return [(place, field) for place, field in fields if isinstance(field, kinds)]


@functools.cache
def _into(table: type[models.Model]) -> str:
    columns = [f'"{field.column}"' for field in _given_fields(table)]
    # The names are those of our models, not input.
    return f'"{table._meta.db_table}" ({", ".join(columns)})'


def _marks(values: int) -> str:
    return ", ".join(["%s"] * values)
