"""Clients that ask for more than their share, beside ordinary ones."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import Judge
from tests.faults.load import Load
from tests.faults.trial import Stage, observe
from tests.files import many_files
from tests.service import ANSWER_SECONDS, Service
from tests.sign_in import sign_in

GUESSERS = 12
IDLE = 2000
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_wrong_passwords(stage: Stage, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        is_over = threading.Event()

        def guess() -> None:
            while not is_over.is_set():
                assert sign_in(stage.service, "admin", "wrong").status_code in (200, 503)

        guessers = [threading.Thread(target=guess) for _ in range(GUESSERS)]
        for guesser in guessers:
            guesser.start()
        load.go_on(seconds)
        is_over.set()
        for guesser in guessers:
            guesser.join()

    done = f"{GUESSERS} clients sign in with wrong passwords without a pause, for {seconds:g} s"
    judge("Wrong passwords", observe(stage, fault, done=done, is_of_clients=True))


@pytest.mark.usefixtures("_many_files")
def test_idle_connections(stage: Stage, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with contextlib.ExitStack() as opened, ThreadPoolExecutor(8) as clients:
            for client in clients.map(idle_connection, [stage.service] * IDLE):
                opened.enter_context(client)
            load.go_on(seconds)

    done = f"{IDLE:,} connections that ask once and are kept, for {seconds:g} s"
    judge("Idle connections", observe(stage, fault, done=done, is_of_clients=True))


@pytest.fixture
def _many_files() -> Iterator[None]:
    with many_files():
        yield


def idle_connection(service: Service) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.port), timeout=ANSWER_SECONDS)
    client.sendall(REQUEST)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    return client
