"""The readiness check: database and Reflex Layer, uncached, within one deadline."""

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
# A check that hangs, in a DNS lookup for instance, keeps its thread until it ends. When all
# threads hang, further checks time out, and the service rightly reports that it is not ready.
_THREADS = 8

Check = Callable[[], str]


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="readiness")


def readiness() -> tuple[bool, dict[str, str]]:
    """Return whether the service is ready, and the state of its two dependencies."""
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
    """Check the database in the background, and log a warning if it cannot be used."""
    _submit(_database_state)


def _submit(check: Check) -> "Future[str]":
    # With the request's context, so that the log lines carry its request id.
    return _executor().submit(copy_context().run, check)


def _result(check: "Future[str]", late: str) -> str:
    if check.done():
        return check.result()
    check.cancel()
    return late


def _database_state() -> str:
    try:
        # A little less than the deadline, so that the reason is logged in time.
        with database_allowance(DEADLINE_SECONDS * 0.9):
            missing = missing_migrations()
    except DatabaseError as error:
        logger.warning("Not ready: no database", extra={"reason": database_reason(error)})
        return "disconnected"
    finally:
        # Each check makes a new connection; a kept one would prove little.
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
