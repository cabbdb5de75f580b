"""The OpenAPI document and Swagger UI."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import yaml

from tests.conftest import StartService
from tests.service import Service

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CLIENTS = 6


# A race does not show in every attempt.
@pytest.mark.parametrize("attempt", range(3))
def test_first_requests_for_the_schema_may_be_simultaneous(
    attempt: int, start_service: StartService
) -> None:
    running = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    running.get("/health")
    together = Barrier(CLIENTS)

    def read(_: int) -> tuple[int, bytes]:
        together.wait()
        response = running.get("/schema")
        return response.status_code, response.content

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = {*threads.map(read, range(CLIENTS))}
    assert [status for status, _ in answers] == [200]


def test_browser_shows_the_schema_instead_of_downloading_it(service: Service) -> None:
    shown, plain = service.get("/schema", headers=BROWSER), service.get("/schema")
    assert shown.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Disposition" not in shown.headers
    assert plain.headers["Content-Type"] == "application/vnd.oai.openapi"
    assert shown.content == plain.content


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/vnd.oai.openapi+json", "application/yaml"]
)
def test_schema_has_the_requested_format(service: Service, media_type: str) -> None:
    response = service.get("/schema", headers={"Accept": media_type})
    assert response.headers["Content-Type"] == media_type
    # JSON is YAML too.
    assert yaml.safe_load(response.content) == yaml.safe_load(service.get("/schema").content)
