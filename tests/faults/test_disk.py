"""A full disk for the database, under load."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from tests.disk import Disk, mounted_disk
from tests.faults.conftest import Judge
from tests.faults.load import Load
from tests.faults.trial import Stage, observe
from tests.postgresql import Postgresql

DISK = "128m"
# Files of the write-ahead log, more than fit on the disk.
FILES = 50


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    with mounted_disk(DISK) as disk:
        yield disk


@pytest.fixture(scope="module")
def server(disk: Disk) -> Iterator[Postgresql]:
    """A migrated PostgreSQL with all its data on the small disk."""
    with Postgresql(disk.folder / "data") as server:
        server.migrate()
        yield server


@pytest.fixture(autouse=True)
def restored(server: Postgresql, disk: Disk) -> Iterator[None]:
    yield
    disk.make_room()
    server.start()


def test_full_disk(stage: Stage, disk: Disk, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        disk.fill()
        load.go_on(seconds)
        disk.make_room()

    done = f"no room for tables to grow for {seconds:g} s"
    judge("Full disk", observe(stage, fault, done=done))


def test_full_disk_and_no_room_for_the_log(
    stage: Stage, server: Postgresql, disk: Disk, judge: Judge
) -> None:
    """PostgreSQL exits when it cannot write its log, and an operator has to start it.

    PostgreSQL 18.4 may also lose its recovery process and refuse all connections from then on. So
    the test kills the rest of PostgreSQL before it starts it again.
    """
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        disk.fill()
        use_up_the_log(server, load)
        load.go_on(seconds)
        disk.make_room()
        server.kill()
        server.start()

    done = f"no room for the write-ahead log; room and a restart {seconds:g} s later"
    judge("Full disk, PostgreSQL down", observe(stage, fault, done=done))


def use_up_the_log(server: Postgresql, load: Load) -> None:
    """Start new files of the write-ahead log until the disk is full and the server exits."""
    with contextlib.suppress(psycopg.OperationalError):
        with psycopg.connect(server.url, autocommit=True) as operator:
            for _ in range(FILES):
                operator.execute("SELECT pg_switch_wal()")
                load.go_on(0.1)
        raise AssertionError("the disk had room for the whole write-ahead log")
