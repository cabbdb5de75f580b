"""gunicorn's master replaces a stopped worker, and no client waits for that worker."""

import contextlib
import socket
import time

import psutil
import pytest

from tests.conftest import StartService
from tests.service import ANSWER_SECONDS, Service
from tests.waiting import wait_until

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def service(start_service: StartService) -> Service:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=2)
    assert service.submit().status_code == 200
    wait_until(lambda: len(service.workers) == 2)
    return service


def test_new_connections_do_not_wait_for_a_stopped_worker(service: Service) -> None:
    [stopped, _] = service.workers
    stopped.suspend()
    for _ in range(50):
        started = time.monotonic()
        assert service.get("/health").status_code == 200
        assert time.monotonic() - started < 1
    with contextlib.suppress(psutil.NoSuchProcess):
        stopped.resume()


def test_stopped_worker_is_replaced_and_its_connections_end(service: Service) -> None:
    with contextlib.ExitStack() as opened:
        kept = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", service.port), timeout=ANSWER_SECONDS)
            kept.append(opened.enter_context(client))
            client.sendall(REQUEST)
            while not client.recv(1000).endswith(b"}"):
                pass
        workers = service.workers
        assert len(workers) == 2
        for worker in workers:
            worker.suspend()
        wait_until(lambda: {one.status() for one in workers} == {psutil.STATUS_STOPPED})
        started = time.monotonic()
        for client in kept:
            with contextlib.suppress(ConnectionError):
                client.sendall(REQUEST)
                assert client.recv(1000) == b""
        assert time.monotonic() - started < 1
    assert service.submit().status_code == 200
    # A killed process is listed until the master has noticed its end.
    wait_until(lambda: not {*workers} & {*service.workers})
    messages = [line["message"] for line in service.log_lines()]
    assert messages.count("Worker is stopped, and will be replaced") == 2


def test_worker_that_is_continued_at_once_is_kept(service: Service) -> None:
    workers = service.workers
    for _ in range(5):
        workers[0].suspend()
        assert service.get("/health").status_code == 200
        workers[0].resume()
    assert service.workers == workers
