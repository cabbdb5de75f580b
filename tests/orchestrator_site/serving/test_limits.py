"""Excess requests are refused early, so that probes are answered even when requests hang."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from socket import create_connection, socket

import psycopg
import pytest
import requests

from orchestrator_site.serving.limits import MAX_WAIT_SECONDS
from orchestrator_site.serving.queueing import CONSOLE_THREADS
from tests.conftest import StartService
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.service import Service
from tests.sign_in import sign_in
from tests.waiting import wait_until


@pytest.fixture
def slow_reflex_layer() -> "tuple[ScriptedReflexLayer, threading.Event]":
    """A Reflex Layer that answers only after `release` is set."""
    release = threading.Event()

    def behave(connection: socket) -> bool:
        release.wait(20)
        return says(answer())(connection)

    with ScriptedReflexLayer() as reflex_layer:
        reflex_layer.behaviour = behave
        yield reflex_layer, release
        release.set()


@pytest.mark.alone
def test_excess_requests_are_refused_at_once_while_probes_are_answered(
    start_service: StartService,
    slow_reflex_layer: "tuple[ScriptedReflexLayer, threading.Event]",
) -> None:
    reflex_layer, release = slow_reflex_layer
    service = start_service(
        REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=20, WORKERS=1, THREADS=8
    )
    assert service.get("/health").status_code == 200
    with ThreadPoolExecutor(6) as clients:
        under_way = [clients.submit(service.submit) for _ in range(6)]
        deadline = time.monotonic() + 10
        while len(reflex_layer.requests) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        started = time.monotonic()
        refused = service.submit()
        assert time.monotonic() - started < 2 * MAX_WAIT_SECONDS
        assert refused.status_code == 503
        assert refused.json() == {
            "detail": "Too many requests are under way. Try again in a moment."
        }
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["X-Request-ID"]
        for probe in ("/health", "/metrics"):
            assert service.get(probe).status_code == 200
        assert 'errors_total{type="overloaded"} 1.0' in service.get("/metrics").text

        release.set()
        assert [future.result().status_code for future in under_way] == [200] * 6
    assert service.submit().status_code == 200


def test_sign_ins_take_no_slot_of_the_api(
    start_service: StartService, service_database: "psycopg.Connection[object]"
) -> None:
    service = start_service(
        ENABLE_REFLEX_INTEGRATION=False, WORKERS=1, THREADS=3, DATABASE_TIMEOUT_SECONDS=10
    )
    assert service.submit().status_code == 200
    with ThreadPoolExecutor(12) as staff:
        with service_database.transaction():
            service_database.execute("LOCK TABLE auth_user")
            under_way = [staff.submit(sign_in, service, "nobody", "wrong") for _ in range(12)]
            # Two are processed, two wait for a slot, and the others are refused.
            wait_until(lambda: sum(one.done() for one in under_way) >= 8)
            assert [service.submit().status_code for _ in range(20)] == [200] * 20
        answers = [one.result() for one in under_way]
    assert sorted(answer.status_code for answer in answers)[-8:] == [503] * 8
    assert all(answer.headers["Content-Type"].startswith("text/html") for answer in answers)


def test_submissions_take_no_slot_of_the_console(
    start_service: StartService,
    slow_reflex_layer: "tuple[ScriptedReflexLayer, threading.Event]",
) -> None:
    reflex_layer, release = slow_reflex_layer
    service = start_service(
        REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=20, WORKERS=1, THREADS=3
    )
    with ThreadPoolExecutor(20) as clients:
        under_way = [clients.submit(service.submit) for _ in range(20)]
        wait_until(lambda: sum(one.done() for one in under_way) >= 19)
        assert service.get("/admin/login/").status_code == 200
        release.set()
        assert sorted(one.result().status_code for one in under_way) == [200] + [503] * 19


def test_probes_are_answered_under_any_host(service: Service) -> None:
    for probe in ("/health", "/ready", "/metrics"):
        assert service.get(probe, headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "a b", "127.0.0.1.evil.example", "[::1"])
def test_unknown_host_is_refused_with_an_explanation(service: Service, host: str) -> None:
    response = service.get("/", headers={"Host": host})
    assert response.status_code == 400
    assert response.json() == {
        "detail": "This Host is not served here. To serve it, add it to ORCHESTRATOR_ALLOWED_HOSTS."
    }


def test_sigterm_lets_a_running_request_finish(
    start_service: StartService,
    slow_reflex_layer: "tuple[ScriptedReflexLayer, threading.Event]",
) -> None:
    reflex_layer, release = slow_reflex_layer
    service = start_service(REFLEX_URL=reflex_layer.url, REFLEX_DEADLINE_SECONDS=20, WORKERS=1)
    with ThreadPoolExecutor(1) as client:
        under_way: object = client.submit(service.submit)
        deadline = time.monotonic() + 10
        while not reflex_layer.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        service.process.terminate()
        release.set()
        response: requests.Response = under_way.result()  # type: ignore[attr-defined]
    assert response.status_code == 200
    assert service.process.wait(30) == 0


def test_incomplete_requests_hold_their_threads_for_seconds_only(
    start_service: StartService,
) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1, THREADS=3)
    assert service.get("/health").status_code == 200
    started = time.monotonic()
    with contextlib.ExitStack() as opened:
        for _ in range(3 + CONSOLE_THREADS):
            peer = opened.enter_context(create_connection(("127.0.0.1", service.port)))
            peer.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        # Silent connections hold no thread at all.
        for _ in range(30):
            opened.enter_context(create_connection(("127.0.0.1", service.port)))
        assert service.get("/health").status_code == 200
    assert time.monotonic() - started < 10
    service.stop()
    assert {line["level"] for line in service.log_lines()} <= {"INFO", "WARNING"}
