"""The fixes of our gunicorn worker: load sharing, slow clients, lost requests."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT

from orchestrator_site.serving.worker import LEFT_TO_OTHERS_SECONDS, MAX_CONNECTIONS
from tests.conftest import StartService
from tests.files import many_files
from tests.reflex_layer import ScriptedReflexLayer, hangs
from tests.service import ANSWER_SECONDS, Service

BODY = json.dumps({"goal": "Sort the reviews"}).encode()
SUBMISSION = (
    b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
LAST_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def alone(start_service: StartService, bundled_reflex_layer: str) -> Service:
    """A running service with one worker."""
    service = start_service(REFLEX_URL=bundled_reflex_layer, WORKERS=1)
    assert service.submit().status_code == 200
    return service


@pytest.fixture
def clients() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as clients:
        yield clients


def connect(service: Service, clients: contextlib.ExitStack) -> socket.socket:
    address = ("127.0.0.1", service.port)
    return clients.enter_context(socket.create_connection(address, timeout=ANSWER_SECONDS))


def order_to_stop(service: Service) -> None:
    """Stop a service whose only worker is suspended, then resume the worker."""
    [worker] = service.workers
    service.process.terminate()
    # The same signal as from the master, but before the worker resumes.
    worker.terminate()
    worker.resume()


def read_all(client: socket.socket) -> bytes:
    """Return everything that the service sends until it closes its side."""
    with client.makefile("rb") as reader:
        return reader.read()


def accepted(service: Service, worker: psutil.Process) -> int:
    """Return the number of clients that `worker` has accepted and not yet closed."""
    return sum(
        connection.laddr.port == service.port and bool(connection.raddr)
        for connection in worker.net_connections("tcp")
    )


def test_a_busy_process_leaves_new_connections_to_the_others_for_a_moment(
    start_service: StartService, clients: contextlib.ExitStack
) -> None:
    reflex_layer = clients.enter_context(ScriptedReflexLayer())
    service = start_service(REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=20, WORKERS=1)
    reflex_layer.behaviour = hangs()
    connect(service, clients).sendall(SUBMISSION)
    give_up_at = time.monotonic() + ANSWER_SECONDS
    while not reflex_layer.requests:
        assert time.monotonic() < give_up_at
    [worker] = service.workers
    worker.suspend()
    for _ in range(100):
        # The kernel holds back connections on which nothing was sent.
        connect(service, clients).sendall(b"G")
    started = time.monotonic()
    worker.resume()
    while accepted(service, worker) < 101:
        assert time.monotonic() < give_up_at
    # The only worker accepts them all, but slowly enough for idle workers to take them first.
    assert time.monotonic() - started >= 99 * LEFT_TO_OTHERS_SECONDS


def test_connections_accepted_by_the_kernel_are_answered_after_sigterm(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    worker.suspend()
    waiting = [connect(alone, clients) for _ in range(20)]
    for client in waiting:
        client.sendall(SUBMISSION)
    order_to_stop(alone)
    answers = [read_all(client) for client in waiting]
    # The worker refuses those that exceed its slots.
    assert {answer.split()[1] for answer in answers} <= {b"200", b"503"}
    assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)
    assert alone.process.wait(ANSWER_SECONDS) == 0


def test_a_request_on_a_kept_connection_is_answered_after_sigterm(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    kept = connect(alone, clients)
    kept.sendall(SUBMISSION)
    first = b""
    while not first.endswith(b"}"):
        first += kept.recv(65536)
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    worker.suspend()
    kept.sendall(SUBMISSION)
    order_to_stop(alone)
    answer = read_all(kept)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_connection_without_a_request_does_not_delay_the_stop(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    silent = connect(alone, clients)
    # Wait until no thread waits for a request on this connection.
    silent.settimeout(DEFAULT_WORKER_DATA_TIMEOUT + 0.5)
    with pytest.raises(TimeoutError):
        silent.recv(1)
    alone.process.terminate()
    assert alone.process.wait(10) == 0


@pytest.mark.alone
def test_clients_that_close_late_delay_no_other_client(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    for _ in range(8):
        late = connect(alone, clients)
        late.sendall(LAST_REQUEST)
        # The service has closed its side of the connection, the client has not.
        assert read_all(late).startswith(b"HTTP/1.1 200 OK\r\n")
    started = time.monotonic()
    assert alone.get("/health").status_code == 200
    assert time.monotonic() - started < 0.5


def test_a_connection_that_the_client_never_closes_is_closed(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    late = connect(alone, clients)
    late.sendall(LAST_REQUEST)
    assert read_all(late).startswith(b"HTTP/1.1 200 OK\r\n")
    here = late.getsockname()[1]
    give_up_at = time.monotonic() + 10
    while any(one.raddr and one.raddr.port == here for one in worker.net_connections()):
        assert time.monotonic() < give_up_at


def test_sigterm_reaches_a_worker_that_was_just_forked(
    start_service: StartService,
) -> None:
    service = start_service(config="tests.orchestrator_site.serving.stopped_at_fork", WORKERS=1)
    # Without our fix, gunicorn would wait for its timeout and kill the worker.
    assert service.process.wait(10) == 0


def ask(client: socket.socket) -> bytes:
    """Request /health and keep the connection; return the response, empty if there is none."""
    client.sendall(LAST_REQUEST.replace(b"Connection: close\r\n", b""))
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while not answer.endswith(b"}") and (part := client.recv(65536)):
            answer += part
    return answer


def test_a_new_connection_replaces_the_longest_idle_one(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    clients.enter_context(many_files())
    [worker] = alone.workers
    kept = []
    for _ in range(MAX_CONNECTIONS + 100):
        started = time.monotonic()
        kept.append(connect(alone, clients))
        assert b"Connection: keep-alive" in ask(kept[-1])
        assert time.monotonic() - started < 2
    assert accepted(alone, worker) <= MAX_CONNECTIONS
    assert read_all(kept[0]) == b""
    assert ask(kept[-MAX_CONNECTIONS // 2]).startswith(b"HTTP/1.1 200 OK\r\n")


def test_connections_without_a_request_hold_no_thread(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    for _ in range(60):
        connect(alone, clients)
    give_up_at = time.monotonic() + ANSWER_SECONDS
    # The kernel hands over silent connections after a while.
    while accepted(alone, worker) < 60:
        assert time.monotonic() < give_up_at
    started = time.monotonic()
    assert alone.get("/health").status_code == 200
    assert time.monotonic() - started < 1


def test_a_process_short_of_files_closes_idle_connections_and_keeps_serving(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    files = worker.num_fds() + 30
    worker.rlimit(psutil.RLIMIT_NOFILE, (files, files))
    for _ in range(100):
        assert ask(connect(alone, clients)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert alone.submit().status_code == 200
    assert alone.workers == [worker]
    refusals = [line for line in alone.log_lines() if line["message"] == "Connection not accepted"]
    assert {line["reason"] for line in refusals} == {"Too many open files"}
    assert len(refusals) < 5


def test_a_process_without_free_files_waits_without_spinning(
    alone: Service, clients: contextlib.ExitStack
) -> None:
    [worker] = alone.workers
    soft, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
    worker.rlimit(psutil.RLIMIT_NOFILE, (5, hard))
    client = connect(alone, clients)
    before = worker.cpu_times()
    client.settimeout(2)
    with pytest.raises(TimeoutError):
        ask(client)
    after = worker.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.5
    worker.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
    assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert alone.workers == [worker]


def test_a_worker_releases_the_port_when_its_master_is_gone(
    start_service: StartService, clients: contextlib.ExitStack
) -> None:
    reflex_layer = clients.enter_context(ScriptedReflexLayer())
    service = start_service(REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=8, WORKERS=2)
    assert service.submit().status_code == 200
    reflex_layer.behaviour = hangs()
    connect(service, clients).sendall(SUBMISSION)
    kept = [connect(service, clients) for _ in range(10)]
    for client in kept:
        assert ask(client)
    service.process.kill()
    service.process.wait()
    give_up_at = time.monotonic() + 5
    while not (listener := listening(service.port)):
        assert time.monotonic() < give_up_at
        # Requests on kept connections must not keep the worker alive.
        with contextlib.suppress(OSError):
            ask(kept[0])
    listener.close()


def listening(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None
