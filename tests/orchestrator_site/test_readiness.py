"""/ready: both dependencies are checked in parallel, uncached, within one deadline."""

import threading
import time
from collections.abc import Iterator
from socket import socket

import pytest

from tests.conftest import StartService
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, says
from tests.service import Service


def hang(connection: socket) -> bool:
    threading.Event().wait(10)
    return False


def trickle(connection: socket) -> bool:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: x\r\n" * 1000:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.2)
    return False


@pytest.fixture(scope="module")
def reflex_layer_behind(
    tmp_path_factory: pytest.TempPathFactory, service_database_url: str
) -> "Iterator[tuple[Service, ScriptedReflexLayer]]":
    """A Reflex Layer that each test leaves ready, and the service in front of it."""
    with (
        ScriptedReflexLayer() as scripted,
        Service(
            tmp_path_factory.mktemp("service"),
            DATABASE_URL=service_database_url,
            REFLEX_URL=scripted.url,
            WORKERS=1,
        ) as service,
    ):
        yield service, scripted


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says({"status": "not_ready"}, status="503 No"), id="not ready"),
        pytest.param(says({}, status="500 No"), id="broken"),
        pytest.param(hang, id="hangs"),
        pytest.param(trickle, id="trickles"),
    ],
)
def test_an_unready_reflex_layer_is_reported_within_the_deadline(
    reflex_layer_behind: "tuple[Service, ScriptedReflexLayer]", behaviour: Behaviour
) -> None:
    service, reflex_layer = reflex_layer_behind
    assert service.get("/ready").status_code == 200
    reflex_layer.behaviour = behaviour
    started = time.monotonic()
    response = service.get("/ready")
    assert time.monotonic() - started < 2.5
    assert response.status_code == 503
    assert response.json() == {
        "status": "not_ready",
        "database": "connected",
        "reflex_layer": "unavailable",
    }
    # The state is not cached.
    reflex_layer.behaviour = says({"status": "ready"})
    assert service.get("/ready").status_code == 200


def test_readiness_asks_the_reflex_layers_own_readiness(
    reflex_layer_behind: "tuple[Service, ScriptedReflexLayer]",
) -> None:
    service, reflex_layer = reflex_layer_behind
    reflex_layer.requests.clear()
    service.get("/ready")
    service.get("/ready")
    assert [path for _, path, _, _ in reflex_layer.requests] == ["/ready", "/ready"]


def test_without_the_integration_the_service_is_ready(start_service: StartService) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    response = service.get("/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": "connected",
        "reflex_layer": "disabled",
    }
    warnings = [line for line in service.log_lines() if line["level"] == "WARNING"]
    assert [line["message"] for line in warnings] == [
        "The Reflex Layer integration is switched off: tasks are accepted unscreened"
    ]
