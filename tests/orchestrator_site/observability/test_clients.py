"""What logs and metrics tell about clients."""

from typing import Any

import pytest

from tests.conftest import StartService
from tests.service import Service
from tests.tasks.clients.keys import bearer

AUTHENTICATIONS = 'octollm_orchestrator_authentications_total{{result="{}"}}'
RESULTS = (
    "accepted anonymous unknown revoked disabled no_issuer malformed algorithm issuer unknown_key "
    "signature expired not_yet_valid audience claims issuer_unavailable"
).split()


@pytest.fixture
def fresh(start_service: StartService) -> Service:
    return start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)


def test_each_outcome_of_an_authentication_has_a_series_from_the_first_scrape(
    fresh: Service,
) -> None:
    metrics = fresh.metrics()
    assert {metrics[AUTHENTICATIONS.format(result)] for result in RESULTS} == {0}


def test_authentications_are_counted_without_a_label_for_each_client(
    fresh: Service, service_key: str
) -> None:
    fresh.get("/client", headers=bearer(service_key))
    fresh.get("/client", headers=bearer("mistyped"))
    fresh.submit()
    metrics = fresh.metrics()
    counted = {result: metrics[AUTHENTICATIONS.format(result)] for result in RESULTS}
    assert {result for result, count in counted.items() if count == 1} == {
        "accepted",
        "malformed",
        "anonymous",
    }
    assert "client-of-tests" not in str(metrics)


def test_a_dry_run_is_an_endpoint_of_its_own(fresh: Service, service_key: str) -> None:
    def dry_run(headers: dict[str, str]) -> Any:
        return fresh.request("POST", "/submit?dry_run=true", json={"goal": "x"}, headers=headers)

    assert [dry_run(bearer(service_key)).status_code, dry_run({}).status_code] == [200, 401]
    series = 'octollm_orchestrator_api_requests_total{{endpoint="{}",method="POST",status="{}"}}'
    metrics = fresh.metrics()
    assert metrics[series.format("/submit?dry_run=true", 200)] == 1
    assert metrics[series.format("/submit?dry_run=true", 401)] == 1
    assert metrics[series.format("/submit", 200)] == 0
    logged = [line["endpoint"] for line in fresh.log_lines() if "endpoint" in line]
    assert logged.count("/submit?dry_run=true") == 2


def test_log_lines_name_the_client_of_their_request_and_no_other(
    fresh: Service, service_key: str
) -> None:
    fresh.request("POST", "/submit", json={"goal": "x"}, headers=bearer(service_key))
    fresh.submit()
    lines = [line for line in fresh.log_lines() if line["request_id"]]
    told = [(line["message"], line.get("client")) for line in lines]
    assert told == [
        ("Task submitted successfully", "client-of-tests"),
        ("Request answered", "client-of-tests"),
        ("Task submitted successfully", None),
        ("Request answered", None),
    ]


def test_anonymous_access_is_logged_at_the_start(start_service: StartService) -> None:
    message = "Anonymous access is on: no API key or token is needed to submit tasks"
    for is_on in (True, False):
        service = start_service(ANONYMOUS_ACCESS=is_on, WORKERS=1)
        service.get("/health")
        assert (message in [line["message"] for line in service.log_lines()]) == is_on


def test_without_the_database_no_key_lets_in(start_service: StartService, service_key: str) -> None:
    service = start_service(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", WORKERS=1)
    response = service.get("/client", headers=bearer(service_key))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert service.get("/client", headers=bearer("mistyped")).status_code == 401


def test_without_the_database_a_limit_lets_nobody_in(start_service: StartService) -> None:
    service = start_service(
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        RATE_LIMIT=5,
        ENABLE_REFLEX_INTEGRATION=False,
        WORKERS=1,
    )
    assert service.submit().status_code == 503
    assert service.get("/client", headers=bearer("mistyped")).status_code == 503
