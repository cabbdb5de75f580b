"""The privileges of the running service's role; each `migrate` grants them anew.

The owner of the tables migrates and prunes. The service can work under a role of its own, whose
name is that of the database with `_service` after it. It reads and adds receipts and events, and
neither changes nor deletes them: an attacker in the service cannot cover their tracks.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from django.db import connections, transaction

ALL_OF_A_ROW: Final = "SELECT, INSERT, UPDATE, DELETE"
# Of single tables; every other one is changed by the service as it likes.
PRIVILEGES: Final = {
    "receipts": "SELECT, INSERT",
    "task_events": "SELECT, INSERT",
    "django_migrations": "SELECT",
}
# Those of the owner, whoever of its members migrates, and not what others keep beside them.
_TABLES: Final = """
    SELECT relname, relkind = 'S' FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
        AND pg_has_role(relowner, 'USAGE')
"""
_ROLES: Final = """
    SELECT name, pg_has_role(current_user, relowner, 'USAGE'),
        pg_has_role(pg_roles.oid, relowner, 'MEMBER'), current_schema()
    FROM pg_class, concat(current_database(), '_service') AS name
    LEFT JOIN pg_roles ON rolname = name
    WHERE pg_class.oid = to_regclass('receipts')
"""
_MAY: Final = "may change receipts and events"


def grant_to_service(*, using: str, verbosity: int, **options: Any) -> None:
    """Give the role of the service its rights to all tables, and no others; for post_migrate."""
    with transaction.atomic(using), connections[using].cursor() as cursor:
        said = _grant(cursor, connections[using].ops.quote_name)
    if verbosity:
        (options.get("stdout") or sys.stdout).write(f"{said}\n")


def _grant(cursor: Any, quoted: Callable[[str], str]) -> str:
    """Return what was done, in a sentence for the operator."""
    cursor.execute(_ROLES)
    if (found := cursor.fetchone()) is None:
        return "Without tables, there is nothing to grant."
    name, may_grant, has_rights_of_owner, schema = found
    if not may_grant:
        return f"Nothing was granted to {name}: that takes the owner of the tables."
    if has_rights_of_owner is None:
        return f"No role {name}: the service has that of the owner, which {_MAY}."
    # It would keep them all.
    if has_rights_of_owner:
        return f"The role {name} has the rights of the tables' owner: it {_MAY}."
    role = quoted(name)
    cursor.execute(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {role}")
    cursor.execute(_TABLES)
    for table, is_sequence in cursor.fetchall():
        kind = "SEQUENCE" if is_sequence else "TABLE"
        privileges = "USAGE" if is_sequence else PRIVILEGES.get(table, ALL_OF_A_ROW)
        # Together in one transaction: the service at work notices nothing.
        cursor.execute(f"REVOKE ALL ON {kind} {quoted(table)} FROM {role}")
        cursor.execute(f"GRANT {privileges} ON {kind} {quoted(table)} TO {role}")
    return f"Granted to {name} what the running service needs."
