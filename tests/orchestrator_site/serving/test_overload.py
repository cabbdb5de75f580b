"""Under overload, excess requests are refused early and counted, and probes are answered."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import socket

import pytest

from tests.conftest import StartService
from tests.reflex_layer import ScriptedReflexLayer, answer, says
from tests.service import Service

CLIENTS = 250
SCREENING_SECONDS = 0.05
HEALTH_SECONDS = 1
# The readiness check has a deadline of two seconds, and may wait for a slot before that.
READY_SECONDS = 3
ROUNDS = 8
SUBMISSION = (
    b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 14\r\n\r\n{"goal": "x"}\n'
)


@pytest.fixture
def busy_reflex_layer() -> Iterator[ScriptedReflexLayer]:
    """A slow Reflex Layer, so that the service runs out of slots."""

    def behave(connection: socket) -> bool:
        threading.Event().wait(SCREENING_SECONDS)
        return says(answer())(connection)

    with ScriptedReflexLayer() as reflex_layer:
        reflex_layer.behaviour = behave
        yield reflex_layer


class Flood:
    """Clients that send the next submission as soon as the last one is answered.

    Attributes:
        statuses: the number of responses by status and `Retry-After`.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[tuple[int, str]] = Counter()
        self.is_over = threading.Event()
        self.has_begun = threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while not self.is_over.is_set():
            writer.write(SUBMISSION)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            await reader.readexactly(int(headers["Content-Length"]))
            self.statuses[int(first.split()[1]), headers.get("Retry-After", "")] += 1
            if self.statuses.total() > CLIENTS:
                self.has_begun.set()
        writer.close()
        await writer.wait_closed()


def seconds_of(service: Service, path: str) -> float:
    started = time.monotonic()
    assert service.get(path).status_code == 200
    return time.monotonic() - started


@pytest.mark.alone
def test_flood_is_refused_early_and_counted_while_probes_are_answered(
    start_service: StartService, busy_reflex_layer: ScriptedReflexLayer
) -> None:
    service = start_service(REFLEX_URL=busy_reflex_layer.url, WORKERS=1, THREADS=8)
    assert service.get("/ready").status_code == 200
    flood = Flood(service.port)
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(flood.run)
        try:
            assert flood.has_begun.wait(20)
            health_seconds, ready_seconds = zip(
                *(
                    (seconds_of(service, "/health"), seconds_of(service, "/ready"))
                    for _ in range(ROUNDS)
                ),
                strict=True,
            )
        finally:
            flood.is_over.set()
        running.result()
    assert max(health_seconds) < HEALTH_SECONDS
    assert max(ready_seconds) < READY_SECONDS

    assert flood.statuses.keys() == {(200, ""), (503, "1")}
    served, refused = flood.statuses[200, ""], flood.statuses[503, "1"]
    metrics = service.metrics()
    assert metrics['octollm_orchestrator_errors_total{type="overloaded"}'] == refused
    of_submit = (
        'octollm_orchestrator_api_requests_total{{endpoint="/submit",method="POST",status="{}"}}'
    )
    assert metrics[of_submit.format(200)] == served
    assert metrics[of_submit.format(503)] == refused
    # Refusing leaves enough time for accepting tasks.
    assert served > ROUNDS
