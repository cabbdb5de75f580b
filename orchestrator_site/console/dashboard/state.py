"""The state of the service's dependencies, and concerns about it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

from orchestrator_site.console.reflex_state import ProcessView
from orchestrator_site.readiness import missing_migrations

CLOSED: Final = "closed"
# From this share on, a burst of requests may use up the connections.
MANY_CONNECTIONS: Final = 0.9


@dataclass(frozen=True)
class DatabaseState:
    """The state of the database.

    Attributes:
        connections: in use, over all databases of the server.
        missing_migrations: how many have not run.
    """

    version: str
    answered_in_ms: float
    connections: int
    max_connections: int
    missing_migrations: int


@dataclass(frozen=True)
class Concern:
    """A problem, with a link to the list that shows it if there is one."""

    text: str
    url: str = ""


def database_state() -> DatabaseState:
    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(
            """
            SELECT current_setting('server_version'), sum(numbackends)::int,
                current_setting('max_connections')::int
            FROM pg_stat_database
            """
        )
        version, connections, max_connections = cursor.fetchone()
        answered_in_ms = (time.perf_counter() - started) * 1000
    return DatabaseState(
        # Packagers append words of their own.
        version=version.split()[0],
        answered_in_ms=answered_in_ms,
        connections=connections,
        max_connections=max_connections,
        missing_migrations=len(missing_migrations()),
    )


def reflex_layer_in_short(processes: Sequence[ProcessView], *, is_screening_off: bool) -> str:
    if is_screening_off:
        return "switched off"
    if not processes:
        return "not asked yet"
    closed = sum(process.circuit == CLOSED for process in processes)
    if closed < len(processes):
        return f"{closed} of {len(processes)} circuits closed on this machine"
    return "circuit closed" if closed == 1 else f"all {closed} circuits closed on this machine"


def concerns(
    processes: Sequence[ProcessView], database: DatabaseState, *, is_screening_off: bool
) -> list[Concern]:
    found = []
    if is_screening_off:
        found.append("Nothing is screened: the Reflex Layer integration is switched off.")
    # A circuit has no state for a moment while it changes.
    elif not_closed := sum(process.circuit not in (CLOSED, "") for process in processes):
        found.append(
            f"The Reflex Layer gives no verdicts: the circuit is open in {not_closed} of "
            f"{len(processes)} processes of this machine, which answer submissions with 503."
        )
    if database.missing_migrations:
        found.append(f"Unapplied migrations: {database.missing_migrations}.")
    if database.connections >= MANY_CONNECTIONS * database.max_connections:
        found.append(
            f"The database has {database.connections} of {database.max_connections} connections "
            "in use."
        )
    return [Concern(text) for text in found]
