"""The endpoints about the service itself, and the pages for developers."""

import re
from typing import Any

import pytest
import requests
import yaml
from django.urls import get_resolver

from orchestrator_site.observability.metrics import KNOWN
from tests.service import Service

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def schema(service: Service) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(service.get("/schema").text)
    return document


BODIES = {
    "/health": {"status": "healthy"},
    "/ready": {"status": "ready", "database": "connected", "reflex_layer": "available"},
    "/": {"service": "OctoLLM Orchestrator", "version": "1.0.0", "status": "operational"},
}


@pytest.mark.parametrize("path", BODIES)
def test_the_endpoint_answers_as_specified(service: Service, path: str) -> None:
    response = service.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == BODIES[path]


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_a_probe_may_send_any_accept_header(service: Service, path: str) -> None:
    accept = "application/openmetrics-text;version=1.0.0"
    assert service.get(path, headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/task", "//", "/nowhere/"])
def test_an_unknown_path_is_a_404_in_json(service: Service, path: str) -> None:
    response = service.get(path)
    assert response.status_code == 404
    assert response.json() == {"detail": "Not found. The API is described at /docs."}


@pytest.mark.parametrize("path", ["/submit", "/tasks", "/health", "/docs"])
def test_path_with_a_trailing_slash_gets_a_hint(service: Service, path: str) -> None:
    assert service.get(f"{path}/").json() == {
        "detail": f"Not found. Use {path}, without a slash at the end. The API is described "
        "at /docs."
    }


@pytest.mark.parametrize("path", ["/nowhere", "/submit/", "/<script>"])
def test_browser_that_asks_for_an_unknown_page_gets_a_page(service: Service, path: str) -> None:
    response = service.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Vary"] == service.get(path).headers["Vary"] == "Accept"
    assert "Not found." in response.text
    assert 'href="/docs"' in response.text
    assert "<script>" not in response.text


@pytest.mark.parametrize("path", ["/health", "/", "/submit", "/docs", "/nowhere"])
def test_head_has_the_length_of_get_and_no_body(service: Service, path: str) -> None:
    get, head = service.get(path), service.request("HEAD", path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert [line for line in service.log_lines() if "no-body" in line["message"]] == []


@pytest.mark.parametrize("path", ["/schema", "/docs"])
def test_errors_of_the_documentation_are_json(service: Service, path: str) -> None:
    assert service.get(path, headers={"Accept": "image/png"}).status_code == 200
    refused = service.request("POST", path, headers=BROWSER)
    assert refused.status_code == 405
    assert refused.json() == {"detail": 'Method "POST" not allowed.'}


def test_get_of_submit_is_for_browsers_only(service: Service) -> None:
    assert service.get("/submit", headers=BROWSER).status_code == 200
    refused = service.get("/submit")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST, OPTIONS")


def test_script_name_and_path_info_headers_are_ignored(service: Service) -> None:
    for name in ("SCRIPT_NAME", "PATH_INFO", "Script-Name"):
        for value in ("/elsewhere", "/admin"):
            response = service.get("/admin", headers={name: value})
            assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def test_every_answer_carries_its_length_and_the_request_id(service: Service) -> None:
    for path in ("/", "/nowhere", "/admin/", "/static/admin/css/base.css", "/metrics"):
        response = service.get(path)
        assert response.headers["X-Request-ID"]
        assert "Content-Length" in response.headers


@pytest.mark.parametrize("path", ["/", "/submit", "/tasks/no-such-task"])
def test_a_browser_gets_a_page(service: Service, path: str) -> None:
    response = service.get(path, headers=BROWSER)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "OctoLLM Orchestrator" in response.text


def test_the_page_to_submit_offers_an_example(service: Service) -> None:
    page = service.get("/submit", headers=BROWSER).text
    assert "Analyze sentiment of user reviews" in page
    assert "application/json" in page


def test_task_ids_in_a_response_are_links(service: Service) -> None:
    body = {"goal": 'a "task_id": "00000000-0000-0000-0000-000000000000" <b>'}
    page = service.request("POST", "/submit", json=body, headers=BROWSER)
    assert page.headers["Cache-Control"] == "no-store"
    path = page.headers["Location"]
    assert re.findall('<a href="(/tasks/[^"]+)">', page.text) == [path, path]
    assert "<b>" not in page.text.partition('id="answer"')[2].partition("{")[2]


def test_page_of_a_refusal_does_not_contain_the_text(service: Service) -> None:
    body = {"goal": "Write to jane.doe@example.org"}
    page = service.request("POST", "/submit", json=body, headers=BROWSER)
    assert (page.status_code, page.headers["Cache-Control"]) == (403, "no-store")
    # The sender still has the text in the form; the response must not contain it.
    assert "jane" not in page.text


def test_a_browser_reads_a_task(service: Service) -> None:
    task_id = service.submit({"goal": "Shown <b>as text</b>"}).json()["task_id"]
    page = service.get(f"/tasks/{task_id}", headers=BROWSER).text
    assert "<b>as text</b>" not in page
    assert "as text" in page


def test_the_documentation_needs_no_other_host(service: Service) -> None:
    page = service.get("/docs").text
    assert "swagger-ui-bundle.js" in page
    assert "https://" not in page
    script = page.split('src="')[1].split('"')[0]
    assert service.get(script).status_code == 200


def test_the_schema_describes_every_endpoint(schema: dict[str, Any]) -> None:
    of_api = {
        known.endpoint
        for known in KNOWN
        # A dry run is a parameter of `/submit`.
        if known.endpoint not in ("/admin/", "/schema", "/docs", "other", "/submit?dry_run=true")
    }
    assert set(schema["paths"]) == of_api


def test_the_schema_describes_every_known_answer(schema: dict[str, Any]) -> None:
    for known in KNOWN:
        if known.endpoint in schema["paths"]:
            answers = schema["paths"][known.endpoint][known.method.lower()]["responses"]
            assert {str(status) for status in known.statuses} <= set(answers)


def test_an_unavailable_service_is_described_with_its_retry_after(schema: dict[str, Any]) -> None:
    answer = schema["paths"]["/submit"]["post"]["responses"]["503"]
    assert "Retry-After" in answer["headers"]


def test_each_answer_has_examples_of_its_own_under_short_names(schema: dict[str, Any]) -> None:
    def examples(path: str, method: str, status: str) -> dict[str, Any]:
        answer = schema["paths"][path][method]["responses"][status]
        found: dict[str, Any] = answer["content"]["application/json"]["examples"]
        return found

    assert {*examples("/tasks/{task_id}", "get", "503")} == {"NoDatabase", "NoKeys", "Overloaded"}
    assert {*examples("/submit", "post", "503")} == {
        "NoVerdict",
        "NoDatabase",
        "NoKeys",
        "Overloaded",
    }
    assert {*examples("/submit", "post", "403")} == {
        "PII",
        "Injection",
        "Both",
        "Blocked",
        "Scope",
    }


def test_ids_are_uuids_in_the_schema(schema: dict[str, Any]) -> None:
    [task_id] = schema["paths"]["/tasks/{task_id}"]["get"]["parameters"]
    assert task_id["schema"]["format"] == "uuid"
    for name in ("Task", "TaskDetail"):
        assert schema["components"]["schemas"][name]["properties"]["task_id"]["format"] == "uuid"


@pytest.mark.parametrize("header", ["Location", "X-Redacted"])
def test_a_header_of_an_accepted_task_is_described(schema: dict[str, Any], header: str) -> None:
    assert header in schema["paths"]["/submit"]["post"]["responses"]["200"]["headers"]


def test_each_route_has_its_name_in_the_metrics() -> None:
    routes = {
        "/" + str(pattern.pattern).replace("<str:task_id>", "{task_id}")
        for resolver in [get_resolver(), get_resolver("tasks.api.urls")]
        for pattern in resolver.url_patterns
    }
    # `/admin` only redirects to `/admin/`.
    named = {known.endpoint for known in KNOWN} - {"other", "/submit?dry_run=true"}
    assert named == routes - {"/admin"}


def test_the_root_of_the_console_needs_no_slash(service: Service) -> None:
    response: requests.Response = service.get("/admin")
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
