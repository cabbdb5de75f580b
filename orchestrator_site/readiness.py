"""Whether the service can do its work now: asked anew each time, within one deadline."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Final

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from orchestrator_site.database.waiting import database_allowance
from orchestrator_site.problems import database_reason
from safety.gate import gate

logger = logging.getLogger(__name__)

DEADLINE_SECONDS: Final = 2
# Checks that hang, in a name lookup for instance, keep their thread until they end. What
# comes then waits in vain, and that is the right answer: not ready.
_THREADS = 8

Check = Callable[[], str]


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="readiness")


def readiness() -> tuple[bool, dict[str, str]]:
    """Return whether the service is ready, and the state of its two parts."""
    database, reflex_layer = _submit(_database_state), _submit(_reflex_layer_state)
    wait([database, reflex_layer], timeout=DEADLINE_SECONDS)
    states = {
        "database": _result(database, "disconnected"),
        "reflex_layer": _result(reflex_layer, "unavailable"),
    }
    is_ready = states["database"] == "connected" and states["reflex_layer"] in (
        "available",
        "disabled",
    )
    return is_ready, states


def report_database() -> None:
    """Have a warning written if the database cannot be used now; do not wait for it."""
    _submit(_database_state)


def _submit(check: Check) -> "Future[str]":
    # With the request's context, so that the log knows whose check it was.
    return _executor().submit(copy_context().run, check)


def _result(check: "Future[str]", late: str) -> str:
    if check.done():
        return check.result()
    check.cancel()
    return late


def _database_state() -> str:
    try:
        # A little less than the deadline, so that the reason gets into the log.
        with database_allowance(DEADLINE_SECONDS * 0.9):
            missing = missing_migrations()
    except DatabaseError as error:
        logger.warning("Not ready: no database", extra={"reason": database_reason(error)})
        return "disconnected"
    finally:
        # A connection of its own each time: one that is kept would prove little.
        connection.close()
    if missing:
        logger.warning(
            "Not ready: migrations have not run",
            extra={"missing": sorted(".".join(migration) for migration in missing)},
        )
        return "disconnected"
    return "connected"


def missing_migrations() -> frozenset[tuple[str, str]]:
    """Return the applications and names of the migrations that have not run."""
    return _on_disk() - set(MigrationRecorder(connection).applied_migrations())


@functools.cache
def _on_disk() -> frozenset[tuple[str, str]]:
    loader = MigrationLoader(None)
    return frozenset(loader.disk_migrations)


def _reflex_layer_state() -> str:
    match gate().is_ready(deadline_seconds=DEADLINE_SECONDS * 0.9):
        case None:
            return "disabled"
        case True:
            return "available"
    return "unavailable"
