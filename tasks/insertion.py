"""Rows of several tables in one statement."""

from django.db import connection, models
from django.db.models.sql import InsertQuery


def insert_together(*rows: models.Model) -> None:
    """Insert `rows`, all or none.

    One statement is a transaction of its own, so BEGIN and COMMIT and their round trips
    are saved. The rows must have all their values: nothing is read back.
    """
    statements, parameters = [], []
    for row in rows:
        query = InsertQuery(type(row))
        query.insert_values(row._meta.local_concrete_fields, [row])
        [(statement, values)] = query.get_compiler(connection=connection).as_sql()
        statements.append(statement)
        parameters += values
    *first, last = statements
    parts = ", ".join(f"part_{number} AS ({statement})" for number, statement in enumerate(first))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {parts} {last}" if parts else last, parameters)
