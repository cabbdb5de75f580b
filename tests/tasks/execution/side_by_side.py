"""Threads beside the test, each with a connection of its own, and locks that hold them."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from django.db import connection, connections

from tests.waiting import wait_until

JOIN_SECONDS = 20


@contextlib.contextmanager
def rows_locked(statement: str) -> Iterator[Callable[[int], None]]:
    """Lock rows in a transaction of its own while the block runs.

    Yield a function that waits until so many others wait for them.
    """
    with psycopg.connect(**connection_parameters()) as holder:
        holder.execute(statement)
        watcher = psycopg.connect(**connection_parameters(), autocommit=True)

        def until_waiting(count: int) -> None:
            waiting = (
                "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
                " AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
            )
            wait_until(lambda: watcher.execute(waiting).fetchone() == (count,))

        with watcher:
            yield until_waiting


def connection_parameters() -> dict[str, Any]:
    names = ("host", "user", "dbname")
    values = connection.get_connection_params()
    return {name: values[name] for name in names if values.get(name)}


class Beside(threading.Thread):
    """Does some work, beginning at once."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()

    def finish(self) -> None:
        """Wait for the end of the work; fail if it raised an exception."""
        self.join(JOIN_SECONDS)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
