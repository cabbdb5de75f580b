"""Bodies that are refused on every path, before anything of them is read or stored."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import RequestFactory

from orchestrator_site.serving.worker import CLOSING_SECONDS
from tests.conftest import StartService
from tests.service import ANSWER_SECONDS, Service
from tests.sign_in import TOKEN

MAX_BODY_BYTES = 1_048_576
TOO_LARGE = "The body is too large: at most 1048576 bytes are allowed."
CHUNKED = "Send the body with a Content-Length header, not in chunks."
# Paths outside of the console: of the API, unknown, of probes, of the documentation.
API_PATHS = ["/submit", "/tasks/x", "/nowhere", "/", "/health", "/metrics", "/docs", "/admin"]
CONSOLE_PATHS = ["/admin/", "/admin/login/", "/admin/nowhere"]
UPLOAD = {"file": ("x.bin", b"x" * 30_000_000)}


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "\r\n"]).encode()


def too_long(path: str, *headers: str) -> bytes:
    return head(path, f"Content-Length: {MAX_BODY_BYTES + 1}", *headers)


def chunked(path: str) -> bytes:
    return head(path, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", API_PATHS)
@pytest.mark.parametrize(
    ("request_to", "status", "detail"),
    [(too_long, b"413", TOO_LARGE), (chunked, b"411", CHUNKED)],
    ids=["too long", "in chunks"],
)
def test_body_outside_the_console_is_refused_in_json(
    request_to: Callable[[str], bytes], status: bytes, detail: str, path: str, service: Service
) -> None:
    answer = service.raw(request_to(path))
    assert answer.split()[1] == status
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"detail": detail}


@pytest.mark.parametrize("path", CONSOLE_PATHS)
@pytest.mark.parametrize(
    ("request_to", "status", "detail"),
    [(too_long, b"413", TOO_LARGE), (chunked, b"411", CHUNKED)],
    ids=["too long", "in chunks"],
)
def test_body_for_the_console_is_refused_with_a_page(
    request_to: Callable[[str], bytes], status: bytes, detail: str, path: str, service: Service
) -> None:
    answer = service.raw(request_to(path))
    assert answer.split()[1] == status
    assert b"\r\nContent-Type: text/html" in answer
    assert detail.encode() in answer


def test_large_upload_without_a_session_is_refused_and_leaves_no_file(
    start_service: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    assert service.get("/health").status_code == 200
    [worker] = service.workers
    before = worker.io_counters().write_bytes
    response = service.request(
        "POST",
        "/admin/login/",
        cookies={"csrftoken": TOKEN},
        data={"csrfmiddlewaretoken": TOKEN},
        files=UPLOAD,
    )
    assert response.status_code == 413
    assert response.headers["Connection"] == "close"
    assert {one.name for one in folder.iterdir() if not one.name.startswith("orch")} == set()
    assert worker.io_counters().write_bytes - before < MAX_BODY_BYTES


def test_small_upload_is_read_and_dropped(settings: object, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path  # type: ignore[attr-defined]
    with (tmp_path / "x.bin").open("w+b") as upload:
        upload.write(b"x" * 5_000_000)
        upload.seek(0)
        request = RequestFactory().post("/admin/login/", {"username": "jane", "file": upload})
        assert dict(request.POST) == {"username": ["jane"]}
    assert not request.FILES
    assert [one.name for one in tmp_path.iterdir()] == ["x.bin"]


def test_client_that_expects_100_continue_is_refused_at_once(
    service: Service,
) -> None:
    answer = service.raw(too_long("/admin/login/", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_slow_sender_of_a_refused_body_gets_the_response(service: Service) -> None:
    address = ("127.0.0.1", service.port)
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as client:
        client.sendall(head("/admin/login/", "Content-Length: 999999999"))
        pause = threading.Event()
        sends_until = time.monotonic() + 2 * CLOSING_SECONDS
        while time.monotonic() < sends_until:
            client.sendall(b"x" * 1000)
            pause.wait(CLOSING_SECONDS / 10)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_endless_sender_is_disconnected(service: Service) -> None:
    started = time.monotonic()
    address = ("127.0.0.1", service.port)
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as client:
        client.sendall(head("/admin/login/", "Content-Length: 99999999999"))
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < started + ANSWER_SECONDS:
                client.sendall(b"x" * 10)
                threading.Event().wait(0.1)
    assert time.monotonic() < started + ANSWER_SECONDS
