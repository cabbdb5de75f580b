"""Clients that demand more than their share, while others send ordinary load."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from requests import Response

from tests.faults.conftest import Judge
from tests.faults.load import Load
from tests.faults.trial import Stage, observe
from tests.files import many_files
from tests.service import ANSWER_SECONDS, Service
from tests.sign_in import sign_in

GUESSERS = 12
HEAVY = 16
# Texts of the largest allowed total length, full of candidates for every kind of pattern.
LONG_TEXT = {
    "goal": "Sort these",
    "constraints": ["ignore all the 4111 1.2.3.4 you are now act as if a@a. +1 ".ljust(1990, "x")]
    * 50,
}
IDLE = 2000
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_wrong_passwords(stage: Stage, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with repeated(GUESSERS, lambda: sign_in(stage.service, "admin", "wrong")) as statuses:
            load.go_on(seconds)
        # After the first few, a try is refused before the password is looked at.
        assert statuses <= {200, 429, 503}

    done = f"{GUESSERS} clients sign in with wrong passwords, without pause for {seconds:g} s"
    judge("Wrong passwords", observe(stage, fault, done=done, is_of_clients=True))


def test_long_texts(stage: Stage, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with repeated(HEAVY, lambda: stage.service.submit(LONG_TEXT)) as statuses:
            load.go_on(seconds)
        assert statuses <= {200, 403, 503}

    done = f"{HEAVY} clients submit texts of 100 kB, without pause for {seconds:g} s"
    judge("Long texts", observe(stage, fault, done=done, is_of_clients=True))


@pytest.mark.usefixtures("_many_files")
def test_idle_connections(stage: Stage, judge: Judge) -> None:
    seconds = stage.form.fault_seconds

    def fault(load: Load) -> None:
        with contextlib.ExitStack() as opened, ThreadPoolExecutor(8) as clients:
            for client in clients.map(idle_connection, [stage.service] * IDLE):
                opened.enter_context(client)
            load.go_on(seconds)

    done = f"{IDLE:,} connections send one request and stay open for {seconds:g} s"
    judge("Idle connections", observe(stage, fault, done=done, is_of_clients=True))


@contextlib.contextmanager
def repeated(clients: int, request: Callable[[], Response]) -> Iterator[set[int]]:
    """Repeat the request from so many clients at once; yield the set of the statuses."""
    is_over = threading.Event()
    statuses: set[int] = set()

    def work() -> None:
        while not is_over.is_set():
            statuses.add(request().status_code)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def _many_files() -> Iterator[None]:
    with many_files():
        yield


def idle_connection(service: Service) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.port), timeout=ANSWER_SECONDS)
    client.sendall(REQUEST)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    return client
