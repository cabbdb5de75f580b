"""/metrics of several worker processes, as Prometheus sees it."""

import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests

from orchestrator_site.observability.metrics import KNOWN
from tests.conftest import StartService
from tests.reflex_layer import ScriptedReflexLayer
from tests.service import Service

PENDING = 'octollm_orchestrator_tasks_total{status="pending"}'

STATUSES = "pending processing completed failed cancelled"
RESULTS = "safe flagged blocked no_verdict circuit_open"
ERROR_TYPES = (
    "validation unauthenticated forbidden not_found conflict too_large media_type rate_limited "
    "safety_unavailable issuer_unavailable database_unavailable overloaded internal"
)
FAMILIES = {
    "octollm_orchestrator_tasks_total": ("counter", "status", STATUSES),
    "octollm_orchestrator_reflex_calls_total": ("counter", "result", RESULTS),
    "octollm_orchestrator_errors_total": ("counter", "type", ERROR_TYPES),
    "octollm_orchestrator_tasks_by_status": ("gauge", "status", STATUSES),
}
API_REQUESTS = "octollm_orchestrator_api_requests_total"
ACCEPTED = f'{API_REQUESTS}{{endpoint="/submit",method="POST",status="200"}}'


@pytest.fixture
def fresh(start_service: StartService, bundled_reflex_layer: str) -> Service:
    return start_service(REFLEX_URL=bundled_reflex_layer, WORKERS=4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_specified_metric_has_its_known_labels_from_the_first_scrape(
    service: Service, family: str
) -> None:
    kind, label, values = FAMILIES[family]
    page = service.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain")
    assert f"# TYPE {family} {kind}" in page.text
    series = {name for name in service.metrics() if name.startswith(family + "{")}
    assert series == {f'{family}{{{label}="{value}"}}' for value in values.split()}


def test_api_requests_total_has_its_known_labels_from_the_first_scrape(service: Service) -> None:
    assert f"# TYPE {API_REQUESTS} counter" in service.get("/metrics").text
    known = {
        f'{API_REQUESTS}{{endpoint="{endpoint}",method="{method}",status="{status}"}}'
        for endpoint, _, method, statuses in KNOWN
        for status in statuses
    }
    assert known <= set(service.metrics())


def test_api_requests_are_counted_by_endpoint_method_and_status(
    start_service: StartService, bundled_reflex_layer: str
) -> None:
    service = start_service(REFLEX_URL=bundled_reflex_layer, WORKERS=1)
    service.submit()
    service.submit({"goal": ""})
    service.submit({"goal": "Write to jane.doe@example.org"})
    service.get("/tasks/unknown")
    service.get("/nowhere")
    service.request("BREW", "/submit")
    counted = {
        name.removeprefix("octollm_orchestrator_api_requests_total"): value
        for name, value in service.metrics().items()
        if name.startswith("octollm_orchestrator_api_requests_total") and value
    }
    assert counted == {
        '{endpoint="/submit",method="POST",status="200"}': 1,
        '{endpoint="/submit",method="POST",status="400"}': 1,
        '{endpoint="/submit",method="POST",status="403"}': 1,
        '{endpoint="/tasks/{task_id}",method="GET",status="404"}': 1,
        '{endpoint="other",method="GET",status="404"}': 1,
        '{endpoint="/submit",method="other",status="405"}': 1,
    }


def test_errors_are_counted_by_type_and_a_refusal_is_not_an_error(
    start_service: StartService, bundled_reflex_layer: str
) -> None:
    service = start_service(REFLEX_URL=bundled_reflex_layer, WORKERS=1, MAX_BODY_BYTES=1000)
    service.submit({"goal": ""})
    service.submit({"goal": "Write to jane.doe@example.org"})
    service.submit({"goal": "long " * 400})
    service.request("POST", "/submit", data=b"x", headers={"Content-Type": "text/plain"})
    service.get("/tasks/unknown")
    counted = {
        name: value for name, value in service.metrics().items() if "errors_total{type" in name
    }
    assert {name.split('"')[1]: value for name, value in counted.items() if value} == {
        "validation": 1,
        "too_large": 1,
        "media_type": 1,
        "not_found": 1,
    }


def test_a_thousand_submissions_over_four_workers_are_a_thousand_on_every_scrape(
    fresh: Service,
) -> None:
    # Other tests have counted in the same database.
    before = fresh.metrics()[PENDING]

    def scrape(_: int) -> tuple[float, float]:
        metrics = fresh.metrics()
        # The first is in PostgreSQL, the second in the files of the processes.
        return metrics[PENDING] - before, metrics[ACCEPTED]

    with ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(lambda _: fresh.submit().status_code, range(1000)))
    assert statuses == [200] * 1000, fresh.log_lines()
    # Any worker may answer a scrape.
    with ThreadPoolExecutor(4) as scrapers:
        scrapes = list(scrapers.map(scrape, range(16)))
    assert scrapes == [(1000, 1000)] * 16

    fresh.workers[0].send_signal(signal.SIGKILL)
    assert [scrape(number) for number in range(8)] == [(1000, 1000)] * 8


def test_counts_survive_a_worker_killed_under_load(
    fresh: Service, service_database: "psycopg.Connection[object]"
) -> None:
    def count() -> int:
        row = service_database.execute("SELECT count(*) FROM tasks").fetchone()
        return int(row[0])  # type: ignore[index]

    before, stored_before = fresh.metrics()[PENDING], count()

    def submit(number: int) -> int:
        if number == 200:
            fresh.workers[0].send_signal(signal.SIGKILL)
        try:
            return fresh.submit().status_code
        except requests.ConnectionError:
            # The killed worker had accepted this request.
            return 0

    with ThreadPoolExecutor(6) as clients:
        statuses = list(clients.map(submit, range(600)))
    answered = statuses.count(200)
    assert answered >= 550
    scrapes = [fresh.metrics() for _ in range(8)]
    [(counted, accepted)] = {(page[PENDING] - before, page[ACCEPTED]) for page in scrapes}
    # A task is stored and counted together; the killed worker may not have answered it.
    assert answered <= counted == count() - stored_before
    # It counts a response just before it sends it.
    assert answered <= accepted <= counted


def test_random_paths_ids_and_methods_add_no_series(service: Service) -> None:
    service.request("BREW", "/submit")
    before = set(service.metrics())
    for _ in range(50):
        service.get(f"/{uuid.uuid4()}")
        service.get(f"/tasks/{uuid.uuid4()}")
        service.get(f"/tasks/{uuid.uuid4().hex[:9]}")
        method = "".join(chr(ord("A") + int(digit)) for digit in str(uuid.uuid4().int)[:12])
        service.request(method, "/submit")
    added = set(service.metrics()) - before
    # Workers that were still starting have added their circuit by now.
    assert {name for name in added if "circuit_state" not in name} == set()


def test_the_circuit_state_is_shown_for_each_process(
    start_service: StartService,
) -> None:
    with ScriptedReflexLayer() as down:
        url = down.url
    service = start_service(REFLEX_URL=url, WORKERS=1, CIRCUIT_FAILURES=2)
    assert [service.submit().status_code for _ in range(3)] == [503] * 3
    pid = service.workers[0].pid
    metrics = service.metrics()
    state = 'octollm_orchestrator_circuit_state{pid="%d",state="%s"}'
    assert metrics[state % (pid, "open")] == 1
    assert metrics[state % (pid, "closed")] == 0
    assert metrics['octollm_orchestrator_reflex_calls_total{result="no_verdict"}'] == 2
    assert metrics['octollm_orchestrator_reflex_calls_total{result="circuit_open"}'] == 1


def test_unscreened_submissions_show_in_the_metrics(start_service: StartService) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    assert service.submit().status_code == 200
    assert service.metrics()["octollm_orchestrator_unscreened_submissions_total"] == 1
