"""The database engine: django-prometheus' backend on connections that never hang.

The server enforces `statement_timeout`, so that setting does not help when the server itself
hangs or the network drops its answers. Here the client limits its own waiting.
"""

import contextlib
import functools
import math
import select
import time
import traceback
from types import SimpleNamespace
from typing import Any, Self

import psycopg
from django_prometheus.db import errors_total, execute_total, query_duration_seconds
from django_prometheus.db.backends.postgresql import base
from psycopg import errors

from orchestrator_site.database.waiting import current_allowance


class DatabaseTimeout(psycopg.OperationalError):
    """The request has used up its time for the database."""


class Connection(psycopg.Connection[Any]):
    """A connection that waits no longer than the allowance of the current request."""

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect within the allowance; libpq's timeout is in whole seconds, at least two."""
        allowance = current_allowance()
        if allowance is None:
            return super().connect(conninfo, **kwargs)
        _refuse_if_used_up(allowance.seconds_left)
        kwargs["connect_timeout"] = max(2, math.ceil(allowance.seconds_left))
        try:
            with allowance:
                return super().connect(conninfo, **kwargs)
        except psycopg.OperationalError as error:
            _let_go(error)
            raise

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Run a libpq operation, and close the connection if that takes too long."""
        allowance = current_allowance()
        if allowance is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            _refuse_if_used_up(allowance.seconds_left)
            with allowance:
                return super().wait(gen, interval, allowance.seconds_left)
        except (errors._WaitTimeout, DatabaseTimeout) as error:
            # A statement may still be running, so the connection cannot be used again. Closing
            # it makes the server cancel the statement (client_connection_check_interval).
            self.pgconn.finish()
            raise DatabaseTimeout("the database did not answer in time") from error

    def is_quiet(self) -> bool:
        """Return whether the connection is open with nothing to read.

        The only message on an idle connection is that the server closes it. Polling the socket
        costs no round trip, unlike Django's own check.
        """
        if self.closed:
            return False
        with contextlib.suppress(psycopg.Error, OSError, ValueError):
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            return not poll.poll(0)
        return False


def _let_go(error: BaseException) -> None:
    """Close the socket of the connection attempt that failed with `error`.

    The frames of the traceback hold the socket in a reference cycle, until the garbage collector
    runs. Meanwhile a server that recovers would complete the connection and count it.
    """
    for failure in (error, error.__context__):
        if failure is not None:
            traceback.clear_frames(failure.__traceback__)


def _refuse_if_used_up(seconds_left: float) -> None:
    if seconds_left <= 0:
        raise DatabaseTimeout("the database did not answer in time")


@functools.cache
def _counting(cursor_class: Any, alias: str) -> type[Any]:
    """Return the class of django-prometheus' cursors, with a cache of its series.

    Each lookup of a series by its labels checks the labels and takes a lock, which costs a tenth of
    a statement.
    """
    executions = execute_total.labels(alias, base.DatabaseWrapper.vendor)
    seconds = query_duration_seconds.labels(alias, base.DatabaseWrapper.vendor)

    class CountingCursor(cursor_class):  # type: ignore[misc]
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            executions.inc()
            started = time.perf_counter()
            try:
                # Without django-prometheus' own method, which would count again.
                return super(cursor_class, self).execute(*args, **kwargs)
            except Exception as error:
                name = type(error).__name__
                errors_total.labels(alias, base.DatabaseWrapper.vendor, name).inc()
                raise
            finally:
                seconds.observe(time.perf_counter() - started)

    return CountingCursor


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Django's `connection`."""

    # Django connects with `Database.connect`.
    Database = SimpleNamespace(**{**vars(psycopg), "connect": Connection.connect})

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        return params | {"cursor_factory": _counting(params["cursor_factory"], self.alias)}

    def is_usable(self) -> bool:
        """Return whether a kept connection still reaches the server."""
        return self.connection is not None and self.connection.is_quiet()
