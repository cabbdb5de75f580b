"""Log lines: JSON, with the specification's keys."""

import json
import logging
import re
import subprocess
import sys

import pytest
from django.conf import settings
from gunicorn.config import Config

from orchestrator_site.observability.log import FormatterForPeople
from orchestrator_site.serving.gunicorn_log import Logger
from tests.conftest import StartService
from tests.environment import ROOT
from tests.service import Service

KEYS = ("timestamp", "level", "message", "logger", "request_id")


@pytest.mark.parametrize("key", ["task_id", "priority"])
def test_each_task_event_in_the_log_has_the_key(service: Service, key: str) -> None:
    task = service.submit(priority="low").json()
    events = [line for line in service.log_lines() if line.get("task_id") == task["task_id"]]
    assert [line[key] for line in events] == [task[key]]


@pytest.mark.parametrize("key", KEYS)
def test_each_line_has_the_key(service: Service, key: str) -> None:
    service.submit()
    assert all(key in line for line in service.log_lines())


def test_a_submission_is_logged_as_the_specification_shows(service: Service) -> None:
    response = service.submit(priority="high")
    line = next(
        line
        for line in service.log_lines()
        if line["request_id"] == response.headers["X-Request-ID"] and "task_id" in line
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "INFO",
        "message": "Task submitted successfully",
        "task_id": response.json()["task_id"],
        "priority": "high",
        "logger": "tasks.services",
        "request_id": response.headers["X-Request-ID"],
        "verdict": "safe",
    }


def test_a_request_is_logged_by_its_endpoint(service: Service) -> None:
    response = service.get("/tasks/some-id", headers={"X-Request-ID": "logged-once"})
    lines = [line for line in service.log_lines() if line["request_id"] == "logged-once"]
    assert response.headers["X-Request-ID"] == "logged-once"
    assert [line["message"] for line in lines] == ["Request answered"]
    assert lines[0]["endpoint"] == "/tasks/{task_id}"
    assert lines[0]["status"] == 404
    assert lines[0]["client_address"] == "127.0.0.1"
    assert 0 < lines[0]["duration_seconds"] < 5


def test_gunicorn_collects_nothing_for_an_access_log() -> None:
    config = Config()
    config.set("logconfig_dict", settings.LOGGING)
    # Code that used the request would fail here, because there is none.
    Logger(config).access(None, None, None, None)


def test_development_log_has_short_lines(start_service: StartService) -> None:
    running = start_service(DEBUG=True, ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    running.get("/health")
    running.get("/static/admin/css/base.css")
    running.get("/tasks/some-id")
    task_id = running.submit().json()["task_id"]
    running.stop()
    lines = [re.sub(r"\d+ ms$", "_ ms", line) for line in running.log.read_text().splitlines()]
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "WARNING The Reflex Layer integration is switched off: tasks are accepted unscreened",
        "Anonymous access is on: no API key or token is needed to submit tasks",
        "GET /tasks/{task_id} 404, _ ms",
        f"Task submitted successfully task_id={task_id} priority=medium verdict=unscreened",
        "POST /submit 200, _ ms",
    ]


def test_error_in_the_development_log_quotes_nothing() -> None:
    try:
        raise ValueError("a planted secret")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "It broke", (), sys.exc_info())
    record.kinds = ["pii", "injection"]
    first, *places, last = FormatterForPeople().format(record).splitlines()
    assert first.endswith(" ERROR It broke kinds=pii,injection")
    assert places
    assert last == "builtins.ValueError"


def test_python_warning_is_logged_without_its_message() -> None:
    warns = "import warnings, orchestrator_site.wsgi; warnings.warn('a planted secret')"
    ran = subprocess.run(
        [sys.executable, "-c", warns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in (ran.stdout + ran.stderr).splitlines()]
    line = next(line for line in lines if line["message"] == "Python warning")
    assert (line["level"], line["category"], line["place"]) == (
        "WARNING",
        "UserWarning",
        "<string>:1",
    )
    assert "planted" not in ran.stdout


def test_gunicorn_logs_json_too(service: Service) -> None:
    service.get("/health")
    assert any(line["logger"] == "gunicorn.error" for line in service.log_lines())


@pytest.mark.parametrize(
    "given",
    # The last two look like a card number and a social security number.
    ["", "a b", "x" * 65, "täst", "<script>", "line\tbreak", "4111111111111111", "078-05-1120"],
    ids=repr,
)
def test_a_malformed_request_id_is_replaced(service: Service, given: str) -> None:
    response = service.get("/", headers={"X-Request-ID": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
