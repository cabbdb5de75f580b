"""Connections to a database that does not answer."""

import gc
import socket
from collections.abc import Iterator

import psycopg
import pytest

from orchestrator_site.database.base import Connection
from orchestrator_site.database.waiting import database_allowance


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No connection is closed because the garbage collector happens to run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_connection_attempt_that_timed_out_is_closed(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    with database_allowance(0.1), pytest.raises(psycopg.OperationalError) as raised:
        Connection.connect(f"host=127.0.0.1 port={port} sslmode=disable")
    accepted, _ = silent.accept()
    with accepted:
        accepted.settimeout(1)
        # Read the client's first message and then the end of the stream.
        while accepted.recv(1024):
            pass
    assert "timeout" in str(raised.value)
