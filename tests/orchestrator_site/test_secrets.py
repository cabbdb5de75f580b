"""Tests submit planted secrets and search for them where no text of a task may be."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import psycopg
import pytest
from requests import Response

from tests.conftest import StartService
from tests.reflex_layer import Behaviour, ScriptedReflexLayer, answer, injection, pii, says
from tests.service import Service

NUMBER = 738291645
PLANTED = {
    "goal": "Plan PLANTED-GOAL",
    "constraints": ["PLANTED-CONSTRAINT"],
    "context": {"PLANTED-KEY": "PLANTED-VALUE", "deep": [{"number": NUMBER}]},
    "acceptance_criteria": ["PLANTED-CRITERION"],
}


def quoting_in(place: str) -> Behaviour:
    """Quote the text in a place that careless code would log."""

    def behave(connection: socket) -> bool:
        match place:
            case "status line":
                connection.sendall(b"HTTP/1.1 200 PLANTED-GOAL\r\nContent-Length: 2\r\n\r\n{}")
            case "broken status line":
                connection.sendall(b"PLANTED-GOAL\r\n\r\n")
            case "broken header":
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nX: y\r\n PLANTED-GOAL\r\nPLANTED-VALUE\r\n\r\n{}"
                )
            case "chunk size":
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nPLANTED-GOAL\r\n"
                )
            case "redirect":
                connection.sendall(
                    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/PLANTED-GOAL\r\n"
                    b"Content-Length: 0\r\n\r\n"
                )
        return False

    return behave


BEHAVIOURS: dict[str, Behaviour] = {
    "refuses for PII": says(pii(matched_text="PLANTED-GOAL", context="PLANTED-VALUE")),
    "refuses for a type that quotes": says(pii(pii_type={"Custom": "PLANTED-GOAL"})),
    "refuses for injection": says(injection("High", indicators=["PLANTED-GOAL"])),
    "answers an error that quotes": says(
        {"error": "x", "message": "PLANTED-GOAL", "detail": "PLANTED-VALUE"}, status="500 PLANTED"
    ),
    "rejects and quotes": says({"message": "PLANTED-GOAL"}, status="400 PLANTED-GOAL"),
    "answers no JSON but the text": says(b"PLANTED-GOAL PLANTED-VALUE"),
    "answers an unknown status": says(answer(status="PLANTED-GOAL")),
    "answers other fields": says({"PLANTED-GOAL": ["PLANTED-VALUE"]}),
} | {
    f"quotes in its {place}": quoting_in(place)
    for place in ("status line", "broken status line", "broken header", "chunk size", "redirect")
}


@pytest.fixture(scope="module")
def reflex_layer_of_module() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def talkative(
    tmp_path_factory: pytest.TempPathFactory,
    service_database_url: str,
    reflex_layer_of_module: ScriptedReflexLayer,
) -> Iterator[Service]:
    """A service that logs at DEBUG and whose circuit never opens."""
    with Service(
        tmp_path_factory.mktemp("talkative"),
        DATABASE_URL=service_database_url,
        REFLEX_URL=reflex_layer_of_module.url,
        LOG_LEVEL="DEBUG",
        CIRCUIT_FAILURES=10_000,
        WORKERS=1,
    ) as running:
        yield running


def traces(text: str) -> list[str]:
    words = ("PLANTED", str(NUMBER))
    return [line for line in text.splitlines() if any(word in line for word in words)]


def everything_stored(database: "psycopg.Connection[Any]") -> str:
    tables = database.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    ).fetchall()
    return "\n".join(
        str(row)
        for (table,) in tables
        for row in database.execute(f'SELECT to_json(t)::text FROM "{table}" t').fetchall()
    )


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_refused_submission_leaves_no_trace_of_its_text(
    talkative: Service,
    reflex_layer_of_module: ScriptedReflexLayer,
    service_database: "psycopg.Connection[Any]",
    behaviour: str,
) -> None:
    reflex_layer_of_module.behaviour = BEHAVIOURS[behaviour]
    response = talkative.submit(PLANTED)
    assert response.status_code in (403, 503)
    assert traces(response.text + str(response.headers)) == []
    assert traces(talkative.log.read_text()) == []
    assert traces(talkative.get("/metrics").text) == []
    assert traces(everything_stored(service_database)) == []


def test_an_accepted_task_is_in_its_own_columns_only(
    talkative: Service,
    reflex_layer_of_module: ScriptedReflexLayer,
    service_database: "psycopg.Connection[Any]",
) -> None:
    reflex_layer_of_module.behaviour = says(answer())
    task_id = talkative.submit(PLANTED).json()["task_id"]
    assert talkative.get(f"/tasks/{task_id}").json()["goal"] == PLANTED["goal"]
    assert traces(talkative.log.read_text()) == []
    assert traces(talkative.get("/metrics").text) == []
    assert len(traces(everything_stored(service_database))) == 1
    service_database.execute("DELETE FROM tasks WHERE id = %s", [task_id])


def test_redacted_text_is_stored_nowhere(
    start_service: StartService, service_database: "psycopg.Connection[Any]"
) -> None:
    with ScriptedReflexLayer() as reflex_layer:

        def find_all(connection: socket) -> bool:
            text = reflex_layer.texts[-1].encode()
            found = re.finditer(rf"PLANTED-[A-Z]+|{NUMBER}".encode(), text)
            matches = [
                {
                    "pii_type": {"Custom": "PLANTED-TYPE"},
                    "start": match.start(),
                    "end": match.end(),
                    "matched_text": match[0].decode(),
                }
                for match in found
            ]
            return says(answer(pii_detected=bool(matches), pii_matches=matches))(connection)

        reflex_layer.behaviour = find_all
        service = start_service(
            REFLEX_URL=reflex_layer.url, LOG_LEVEL="DEBUG", PII_ACTION="redact", WORKERS=1
        )
        # Without the planted key, because a finding in a key blocks the task.
        body = PLANTED | {"context": {"plain": "PLANTED-VALUE", "deep": [{"number": NUMBER}]}}
        response = service.submit(body)
        refused = service.submit(PLANTED)
    assert response.json()["goal"] == "Plan [PII]"
    assert response.json()["metadata"] == {"plain": "[PII]", "deep": [{"number": "[PII]"}]}
    assert response.headers["X-Redacted"] == "Custom"
    assert refused.status_code == 403
    assert traces(service.log.read_text()) == []
    assert traces(service.get("/metrics").text) == []
    assert traces(everything_stored(service_database)) == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{}PLANTED-GOAL PLANTED-VALUE\r\n\r\n",
            id="a body longer than announced",
        ),
        pytest.param(b"PLANTED-GOAL\r\n\r\n", id="no HTTP at all"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nPLANTED-GOAL\r\n\r\n", id="a broken header"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: PLANTED-GOAL\r\n\r\n", id="a Host that is not ours"),
        pytest.param(
            b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 19\r\n\r\n{"goal": PLANTED-GO',
            id="broken JSON",
        ),
        pytest.param(
            b"GET /PLANTED-GOAL?PLANTED=VALUE HTTP/1.1\r\nHost: localhost\r\n\r\n",
            id="a path that is not ours",
        ),
    ],
)
def test_malformed_requests_are_not_quoted_in_the_log(
    talkative: Service, request_bytes: bytes
) -> None:
    assert b"HTTP/1.1 4" in talkative.raw(request_bytes)
    assert traces(talkative.log.read_text()) == []
    assert traces(talkative.get("/metrics").text) == []


def test_no_key_and_no_cursor_is_found_anywhere(
    talkative: Service,
    reflex_layer_of_module: ScriptedReflexLayer,
    service_database: "psycopg.Connection[Any]",
    service_key: str,
) -> None:
    reflex_layer_of_module.behaviour = says(answer())
    good = {"Authorization": f"Bearer {service_key}"}

    def send(method: str, path: str, headers: dict[str, str], body: Any = None) -> Response:
        return talkative.request(method, path, headers=headers, json=body)

    for number in range(2):
        headers = {**good, "Idempotency-Key": f"PLANTED-IDEMPOTENCY-{number}"}
        body = {"goal": f"Plan {number}"}
        assert send("POST", "/submit", headers, body).status_code == 200
        assert send("POST", "/submit", headers, body).headers["Idempotency-Replayed"] == "true"
        assert send("POST", "/submit", headers, {"goal": "Another"}).status_code == 422
    page = send("GET", "/tasks?limit=1", good).json()
    cursor = page["next"].rpartition("cursor=")[2]
    assert send("GET", f"/tasks?limit=1&cursor={cursor}", good).status_code == 200
    refused = [
        send("GET", "/client", {"Authorization": "Bearer PLANTED-KEY"}),
        send("GET", "/client", {"X-API-Key": "PLANTED-KEY"}),
        send("GET", "/client", {**good, "X-API-Key": "PLANTED-KEY"}),
        send("GET", "/client", {"Authorization": f"Bearer {service_key[:-1]}!"}),
        send("GET", f"/tasks?api_key={service_key}", good),
        send("GET", "/tasks?api_key=PLANTED-KEY", good),
        send("GET", "/tasks?cursor=PLANTED-CURSOR", good),
        send("GET", f"/tasks?status=failed&cursor={cursor}", good),
        send("GET", f"/tasks/{service_key}", good),
    ]
    assert {response.status_code for response in refused} == {400, 401, 404}
    # The name of a key is no secret; the rest is.
    secret = service_key[16:40]
    everywhere = "\n".join(
        [
            *(response.text + str(response.headers) for response in refused),
            talkative.log.read_text(),
            talkative.get("/metrics").text,
            everything_stored(service_database),
        ]
    )
    for planted in (secret, cursor, cursor[:40], "PLANTED-KEY", "PLANTED-CURSOR", "IDEMPOTENCY"):
        assert planted not in everywhere, planted


def test_a_database_error_that_quotes_the_row_is_not_quoted_in_the_log(
    start_service: StartService,
    service_database: "psycopg.Connection[Any]",
    reflex_layer_of_module: ScriptedReflexLayer,
) -> None:
    reflex_layer_of_module.behaviour = says(answer())
    service = start_service(REFLEX_URL=reflex_layer_of_module.url, LOG_LEVEL="DEBUG", WORKERS=1)
    # PostgreSQL's DETAIL quotes the whole row.
    service_database.execute(
        "ALTER TABLE tasks ADD CONSTRAINT planted CHECK (goal NOT LIKE '%PLANTED%')"
    )
    try:
        response = service.submit(PLANTED)
    finally:
        service_database.execute("ALTER TABLE tasks DROP CONSTRAINT planted")
    assert response.status_code == 500
    assert response.json() == {
        "detail": "Internal error. The log names it by the X-Request-ID of this response."
    }
    errors = [line for line in service.log_lines() if line["level"] == "ERROR"]
    assert errors[0]["message"] == "Internal error"
    assert errors[0]["request_id"] == response.headers["X-Request-ID"]
    assert "CheckViolation" in errors[0]["exc_info"]
    assert traces(service.log.read_text()) == []


def test_no_password_of_a_url_is_logged(
    start_service: StartService, bundled_reflex_layer: str
) -> None:
    service = start_service(
        DATABASE_URL="postgresql://someone:PLANTED-PASSWORD@127.0.0.1:1/none",
        REFLEX_URL=bundled_reflex_layer.replace("//", "//someone:PLANTED-PASSWORD@"),
        LOG_LEVEL="DEBUG",
        WORKERS=1,
    )
    assert service.submit().status_code == 503
    assert service.get("/ready").status_code == 503
    assert json.dumps(service.log_lines())
    assert traces(Path(service.log).read_text()) == []
