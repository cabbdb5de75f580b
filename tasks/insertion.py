"""Inserting rows of several tables with one statement."""

import functools

from django.db import DEFAULT_DB_ALIAS, connections, models


def insert_together(*rows: models.Model) -> None:
    """Insert `rows`, all or none.

    One statement is a transaction of its own, which saves BEGIN, COMMIT and their round trips. The
    rows must have all their values: nothing is read back.
    """
    # The proxy `connection` would cost a lookup for each value.
    connection = connections[DEFAULT_DB_ALIAS]
    parameters = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in _given_fields(type(row))
    ]
    with connection.cursor() as cursor:
        cursor.execute(_statement(*map(type, rows)), parameters)


@functools.cache
def _statement(*tables: type[models.Model]) -> str:
    """Return the statement for one row of each table; the ORM would compile it every time."""
    *first, last = map(_insert, tables)
    parts = ", ".join(f"part_{number} AS ({insert})" for number, insert in enumerate(first))
    return f"WITH {parts} {last}" if parts else last


@functools.cache
def _given_fields(table: type[models.Model]) -> list[models.Field]:
    """Return all fields except generated ones."""
    return [field for field in table._meta.local_concrete_fields if not field.generated]


def _insert(table: type[models.Model]) -> str:
    columns = [f'"{field.column}"' for field in _given_fields(table)]
    placeholders = ", ".join(["%s"] * len(columns))
    # The names are those of our models, not input.
    return f'INSERT INTO "{table._meta.db_table}" ({", ".join(columns)}) VALUES ({placeholders})'  # noqa: S608
