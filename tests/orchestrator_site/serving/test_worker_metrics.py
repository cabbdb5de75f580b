"""`/health` and `/metrics` of a worker."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests

from orchestrator_site.serving import worker_metrics
from orchestrator_site.serving.worker_metrics import serve_worker_metrics

OPEN_CALLS = "octollm_orchestrator_worker_open_calls"


@dataclass
class Watched:
    is_healthy: bool = True
    open_calls: int = 0


@pytest.fixture
def worker() -> Watched:
    return Watched()


@pytest.fixture
def url(worker: Watched) -> Iterator[str]:
    server = serve_worker_metrics("127.0.0.1", 0, worker)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=10)


@pytest.mark.parametrize(
    ("is_healthy", "status", "word"), [(True, 200, "healthy"), (False, 503, "unhealthy")]
)
def test_health_is_that_of_the_worker(
    is_healthy: bool, status: int, word: str, worker: Watched, url: str
) -> None:
    worker.is_healthy = is_healthy
    answer = get(f"{url}/health")
    assert (answer.status_code, answer.json()) == (status, {"status": word})
    assert answer.headers["Content-Type"] == "application/json"


def test_metrics_show_the_calls_of_the_moment(worker: Watched, url: str) -> None:
    def shown() -> str:
        page = get(f"{url}/metrics")
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/plain")
        [line] = [line for line in page.text.splitlines() if line.startswith(f"{OPEN_CALLS} ")]
        return line

    assert shown() == f"{OPEN_CALLS} 0.0"
    worker.open_calls = 3
    assert shown() == f"{OPEN_CALLS} 3.0"


def test_metrics_belong_to_the_process(url: str) -> None:
    """Those that all processes share are on the page of the web server."""
    text = get(f"{url}/metrics").text
    assert "octollm_orchestrator_tasks_total" not in text
    assert "octollm_orchestrator_reflex_calls_total" in text


@pytest.mark.parametrize("path", ["/", "/health/", "/metrics?x=y", "/admin/"])
def test_other_paths_are_not_found(path: str, url: str) -> None:
    assert get(url + path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_not_supported(method: str, url: str) -> None:
    assert requests.request(method, f"{url}/health", timeout=10).status_code == 501


def test_an_answer_does_not_wait_for_a_client_that_sends_nothing(url: str) -> None:
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)), ThreadPoolExecutor(4) as clients:
        started = time.monotonic()
        answers = list(clients.map(get, [f"{url}/health"] * 8))
        assert time.monotonic() - started < worker_metrics.RECEIVE_SECONDS
    assert {answer.status_code for answer in answers} == {200}


def test_a_client_that_sends_nothing_is_disconnected(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_metrics._Handler, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as idle:
        idle.settimeout(10)
        assert idle.recv(1) == b""


def test_probes_are_not_logged(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    get(f"{url}/health")
    requests.post(f"{url}/health", timeout=10)
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_an_error(worker: Watched) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve_worker_metrics("127.0.0.1", taken.getsockname()[1], worker)
