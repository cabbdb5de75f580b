"""The resources that the workers of a service hold: memory, threads, connections."""

import contextlib
from dataclasses import dataclass

import psutil
import psycopg

from tests.service import Service

BYTES_PER_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Footprint:
    """The resources of all workers together.

    Attributes:
        memory_mib: memory that the workers do not share (USS).
        sockets: open sockets to clients, database and Reflex Layer.
        database_connections: as PostgreSQL counts them.
    """

    memory_mib: float
    threads: int
    sockets: int
    database_connections: int


def footprint(service: Service, database_url: str) -> Footprint:
    memory_bytes = threads = sockets = 0
    for worker in service.workers:
        # A worker may have just been killed.
        with contextlib.suppress(psutil.Error):
            memory_bytes += worker.memory_full_info().uss
            threads += worker.num_threads()
            sockets += len(worker.net_connections(kind="all"))
    return Footprint(
        memory_bytes / BYTES_PER_MIB, threads, sockets, _database_connections(database_url)
    )


def _database_connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])
