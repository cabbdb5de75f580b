"""Faults of the database, under load."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.faults.conftest import Judge
from tests.faults.load import Load
from tests.faults.trial import Stage, observe
from tests.postgresql import Postgresql

CUT_EVERY_SECONDS = 0.25


@pytest.fixture(autouse=True)
def restored(server: Postgresql) -> Iterator[None]:
    """Make the server run again after each test, even after a failed one."""
    yield
    server.resume()
    server.start()


def test_restarted(stage: Stage, server: Postgresql, judge: Judge) -> None:
    def fault(load: Load) -> None:
        server.stop()
        server.start()

    judge("PostgreSQL restarted", observe(stage, fault, done="`pg_ctl stop`, then `start`"))


def test_killed(stage: Stage, server: Postgresql, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        server.kill()
        load.go_on(seconds)
        server.start()

    done = f"`kill -9` of all its processes, start {seconds:g} s later"
    judge("PostgreSQL killed", observe(stage, fault, done=done))


def test_stopped_and_continued(stage: Stage, server: Postgresql, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        server.pause()
        load.go_on(seconds)
        server.resume()

    done = f"SIGSTOP to all its processes, SIGCONT {seconds:g} s later"
    judge("PostgreSQL hanging", observe(stage, fault, done=done))


def test_refusing_connections(stage: Stage, server: Postgresql, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with elsewhere(server) as connection:
            connection.execute("ALTER DATABASE postgres WITH ALLOW_CONNECTIONS false")
            cut_all(connection)
            load.go_on(seconds)
            connection.execute("ALTER DATABASE postgres WITH ALLOW_CONNECTIONS true")

    done = f"all connections terminated, new ones refused for {seconds:g} s"
    judge("PostgreSQL refusing connections", observe(stage, fault, done=done))


def test_connections_cut(stage: Stage, server: Postgresql, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with elsewhere(server) as connection:
            for _ in range(int(seconds / CUT_EVERY_SECONDS)):
                cut_all(connection)
                load.go_on(CUT_EVERY_SECONDS)

    done = (
        f"`pg_terminate_backend` of all connections every {CUT_EVERY_SECONDS:g} s for {seconds:g} s"
    )
    judge("Connections cut by PostgreSQL", observe(stage, fault, done=done))


def elsewhere(server: Postgresql) -> "psycopg.Connection[TupleRow]":
    """Connect to another database of the server."""
    url = server.url.replace("/postgres?", "/template1?")
    return psycopg.connect(url, autocommit=True)


def cut_all(connection: "psycopg.Connection[TupleRow]") -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'"
    )
