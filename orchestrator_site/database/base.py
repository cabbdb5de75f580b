"""The database engine: django-prometheus' one, on connections that never hang.

`statement_timeout` alone is kept by the server, and so means nothing when the server
itself hangs or the network drops its answers. Here the client bounds its own waiting.
"""

import contextlib
import math
import select
import traceback
from types import SimpleNamespace
from typing import Any, Self

import psycopg
from django_prometheus.db.backends.postgresql import base
from psycopg import errors

from orchestrator_site.database.waiting import current_allowance


class DatabaseTimeout(psycopg.OperationalError):
    """The request has waited for the database as long as it may."""


class Connection(psycopg.Connection[Any]):
    """A connection that waits no longer than the allowance of the request under way."""

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect; libpq counts this wait in whole seconds, from two up."""
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
        """Run a libpq operation to its end, or give the connection up."""
        allowance = current_allowance()
        if allowance is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            _refuse_if_used_up(allowance.seconds_left)
            with allowance:
                return super().wait(gen, interval, allowance.seconds_left)
        except (errors._WaitTimeout, DatabaseTimeout) as error:
            # A statement may still be under way: the connection is of no more use, and
            # its end tells the server to stop (client_connection_check_interval).
            self.pgconn.finish()
            raise DatabaseTimeout("the database did not answer in time") from error

    def is_quiet(self) -> bool:
        """Return whether the connection is open with nothing to read.

        On an idle one the server has nothing to say but that it ends it. A look at the
        socket costs no round trip, unlike Django's own check.
        """
        if self.closed:
            return False
        with contextlib.suppress(psycopg.Error, OSError, ValueError):
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            return not poll.poll(0)
        return False


def _let_go(error: BaseException) -> None:
    """Close what the connection attempt that failed with `error` has open.

    It lives on in the frames of the failure, which refer to each other, until Python looks
    for such cycles. A server that goes on would meanwhile complete the connection and count
    it.
    """
    for failure in (error, error.__context__):
        if failure is not None:
            traceback.clear_frames(failure.__traceback__)


def _refuse_if_used_up(seconds_left: float) -> None:
    if seconds_left <= 0:
        raise DatabaseTimeout("the database did not answer in time")


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """What Django calls `connection`."""

    # Django connects by way of `Database.connect`.
    Database = SimpleNamespace(**{**vars(psycopg), "connect": Connection.connect})

    def is_usable(self) -> bool:
        """Return whether a kept connection still leads to a server."""
        return self.connection is not None and self.connection.is_quiet()
