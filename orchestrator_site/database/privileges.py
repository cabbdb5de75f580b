"""The database privileges of the service's role; each `migrate` grants them again.

The owner of the tables migrates and prunes. The running service can use another role, which is
named after the database with `_service` appended. That role can read and add receipts, events and
sign-ins, but cannot change or delete them, so an attacker in the service cannot cover their tracks.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from django.db import connections, transaction

ALL_OF_A_ROW: Final = "SELECT, INSERT, UPDATE, DELETE"
# The exceptions. On all other tables, the service has ALL_OF_A_ROW.
PRIVILEGES: Final = {
    "receipts": "SELECT, INSERT",
    "task_events": "SELECT, INSERT",
    "clients": "SELECT, INSERT, UPDATE",
    "api_keys": "SELECT, INSERT, UPDATE",
    "client_events": "SELECT, INSERT",
    "sign_ins": "SELECT, INSERT",
    "django_migrations": "SELECT",
}
# The relations whose owner is the migrating role, or a role that it is a member of. Other owners
# may keep tables in the same schema.
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
    """Grant the service's role exactly its privileges on all tables; a post_migrate receiver."""
    with transaction.atomic(using), connections[using].cursor() as cursor:
        said = _grant(cursor, connections[using].ops.quote_name)
    if verbosity:
        (options.get("stdout") or sys.stdout).write(f"{said}\n")


def _grant(cursor: Any, quoted: Callable[[str], str]) -> str:
    """Grant the privileges; return a sentence for the operator."""
    cursor.execute(_ROLES)
    if (found := cursor.fetchone()) is None:
        return "Nothing was granted: there are no tables."
    name, may_grant, has_rights_of_owner, schema = found
    if not may_grant:
        return f"Nothing was granted to {name}: only the owner of the tables can do that."
    if has_rights_of_owner is None:
        return f"There is no role {name}: the service uses the role of the owner, which {_MAY}."
    # A member of the owner keeps the owner's rights, whatever is revoked.
    if has_rights_of_owner:
        return f"The role {name} has the rights of the tables' owner: it {_MAY}."
    role = quoted(name)
    cursor.execute(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {role}")
    cursor.execute(_TABLES)
    for table, is_sequence in cursor.fetchall():
        kind = "SEQUENCE" if is_sequence else "TABLE"
        privileges = "USAGE" if is_sequence else PRIVILEGES.get(table, ALL_OF_A_ROW)
        # Both run in one transaction, so the running service never lacks a privilege.
        cursor.execute(f"REVOKE ALL ON {kind} {quoted(table)} FROM {role}")
        cursor.execute(f"GRANT {privileges} ON {kind} {quoted(table)} TO {role}")
    return f"The role {name} has the privileges that the running service needs."
