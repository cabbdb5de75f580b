"""`POST /submit` as raw bytes over a socket: damaged bodies, and headers that do not fit them."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import ANSWER_SECONDS, Service

EXAMPLES = settings(
    max_examples=500,
    # A slow machine must not fail the test.
    deadline=None,
    # Each run uses the same examples; otherwise the tests would be flaky.
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TASK_FIELDS = {"task_id", "goal", "status", "priority", "created_at", "metadata"}
JSON = "application/json"

GOOD_BODIES = [
    {"goal": "Analyze sentiment of user reviews"},
    {"goal": "é€🐙", "context": {"a": {"b": [1, 2.5, None, True, "x"]}}, "budget": None},
    {
        "goal": "x",
        "constraints": ["No PII in output"],
        "acceptance_criteria": ["Sentiment score between -1 and 1"],
        "priority": "high",
        "budget": {"max_cost_usd": 0.5, "max_time_seconds": 300, "max_tokens": 2000},
    },
]
good_bodies = st.builds(
    lambda body, is_ascii: json.dumps(body, ensure_ascii=is_ascii).encode(),
    st.sampled_from(GOOD_BODIES),
    st.booleans(),
)
# Tokens with a meaning for the parser, and bytes that no text may contain.
pieces = (
    st.binary(max_size=4)
    | st.sampled_from(rb'" \ \u0000 \ud800 { } [ ] , : null NaN 1e400 - 0'.split())
    | st.sampled_from([b"\0", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"9" * 4301])
)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """Generate valid bodies with random damage: bytes changed, removed, doubled or inserted."""
    body = draw(good_bodies)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, len(body)))
        match draw(st.sampled_from(["flip", "truncate", "remove", "double", "insert"])):
            case "flip":
                flipped = bytes(byte ^ 1 << start % 8 for byte in body[start : start + 1])
                body = body[:start] + flipped + body[start + 1 :]
            case "truncate":
                body = body[:start]
            case "remove":
                body = body[:start] + body[end:]
            case "double":
                body = body[:end] + body[start:]
            case "insert":
                body = body[:start] + draw(pieces) + body[start:]
    return body


@st.composite
def bodies_with_doubled_keys(draw: st.DrawFn) -> bytes:
    """Generate objects that may have the same key more than once."""
    keys = st.sampled_from(["goal", "g\\u006fal", "context", "budget", "priority", "x"])
    values = st.sampled_from(['"x"', "{}", "null", '"high"', '{"a":1,"a":1}', '{"max_tokens":1}'])
    members = draw(st.lists(st.tuples(keys, values), max_size=6))
    return ("{" + ",".join(f'"{key}":{value}' for key, value in members) + "}").encode()


nested_bodies = st.builds(
    lambda opening, closing, depth, closed: (
        b'{"goal":"x","context":{"a":%b1%b}}' % (opening * depth, closing * closed)
    ),
    st.sampled_from([b"[", b'{"a":', b'[{"a":']),
    st.sampled_from([b"]", b"}", b"}]"]),
    st.integers(0, 30) | st.integers(0, 20_000),
    st.integers(0, 30),
)
encoded_bodies = st.builds(
    lambda body, encoding: json.dumps(body, ensure_ascii=False).encode(encoding, "replace"),
    st.sampled_from(GOOD_BODIES),
    st.sampled_from(
        "utf-8-sig utf-16 utf-16-be utf-32 utf-7 latin-1 cp037 shift_jis gb18030".split()
    ),
)
bodies = damaged_bodies() | bodies_with_doubled_keys() | nested_bodies | encoded_bodies

# Visible ASCII characters, which HTTP allows in a header.
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
content_types = (
    st.sampled_from(
        "application/json APPLICATION/JSON text/plain application/* */* / ; json".split()
    )
    | st.sampled_from(
        [
            "",
            "application/json;",
            "multipart/form-data; boundary=x",
            JSON + "; charset*=no-such''%41",
        ]
    )
    | st.builds("{}; charset={}".format, st.just(JSON), words | st.just("utf-16"))
)
# Content-Length minus the real length; None leaves the header out.
length_differences = (
    st.none() | st.integers(-200, 200) | st.sampled_from([-(10**9), 2**20, 2**63, 10**40])
)


@pytest.fixture(scope="module", autouse=True)
def _no_unexpected_exceptions(unscreened: Service) -> Iterator[None]:
    yield
    messages = {line["message"] for line in unscreened.log_lines()}
    # The service and gunicorn log these messages for unexpected exceptions.
    assert messages & {"Internal error", "Error handling request"} == set()


def send(service: Service, body: bytes, headers: dict[str, Any]) -> tuple[int, Any]:
    """Submit `body` with `headers`; return the status and the JSON of the answer."""
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    head = "\r\n".join(["POST /submit HTTP/1.1", "Host: localhost", *lines, "Connection: close"])
    with socket.create_connection(("127.0.0.1", service.port), ANSWER_SECONDS) as peer:
        # The answer may come before everything is sent.
        with contextlib.suppress(OSError):
            peer.sendall(head.encode() + b"\r\n\r\n" + body)
            peer.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(peer)
        response.begin()
        assert response.headers["Content-Type"] == JSON
        return response.status, json.loads(response.read())


def assert_documented(status: int, answer: Any, documented: set[int]) -> None:
    """Check that the status is documented and that the answer has its documented shape."""
    assert status in documented, answer
    if status == 200:
        assert answer.keys() == TASK_FIELDS
    elif status == 400 and answer.keys() != {"detail"}:
        # Errors by field. List fields may have them by index, and the budget by name.
        assert answer
        assert all(isinstance(errors, list | dict) and errors for errors in answer.values())
    else:
        assert answer.keys() == {"detail"}
        assert isinstance(answer["detail"], str)


def count(database: "psycopg.Connection[Any]") -> tuple[int, int]:
    [counts] = database.execute(
        "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM receipts)"
    ).fetchall()
    return counts  # type: ignore[no-any-return]


def submit(
    service: Service,
    database: "psycopg.Connection[Any]",
    body: bytes,
    headers: dict[str, Any],
    documented: set[int],
) -> int:
    """Submit, check that exactly a 200 stores a task and its receipt, and return the status."""
    tasks, receipts = count(database)
    status, answer = send(service, body, headers)
    assert_documented(status, answer, documented)
    stored = int(status == 200)
    assert count(database) == (tasks + stored, receipts + stored)
    return status


def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(members)) == len(members)
    return dict(members)


@EXAMPLES
@given(body=bodies)
def test_any_damaged_body_is_accepted_or_refused(
    unscreened: Service, service_database: Any, body: bytes
) -> None:
    headers = {"Content-Type": JSON, "Content-Length": len(body)}
    if submit(unscreened, service_database, body, headers, {200, 400}) == 200:
        # An accepted body is strict JSON.
        assert json.loads(body.decode(), object_pairs_hook=unique)["goal"]


@EXAMPLES
@given(
    body=good_bodies | bodies | st.binary(max_size=100),
    content_type=st.none() | content_types,
    difference=length_differences,
    extra=st.sampled_from(
        [{}, {}, {"Transfer-Encoding": "chunked"}, {"Content-Encoding": "gzip"}, {"Accept": "*/*"}]
    ),
)
def test_any_headers_are_accepted_or_refused(
    unscreened: Service,
    service_database: Any,
    body: bytes,
    content_type: str | None,
    difference: int | None,
    extra: dict[str, str],
) -> None:
    headers: dict[str, Any] = {"Content-Type": content_type, **extra}
    # HTTP forbids both headers at once; gunicorn refuses such a request.
    if difference is not None and "Transfer-Encoding" not in extra:
        headers["Content-Length"] = max(0, len(body) + difference)
    documented = {200, 400, 411, 413, 415}
    if headers.get("Content-Length", 0) > len(body):
        # The body is incomplete, even if the received part is valid JSON.
        documented.remove(200)
    submit(unscreened, service_database, body, headers, documented)
