"""`POST /submit` from raw bytes, over a real socket: damaged bodies, and heads that lie of them."""

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
    # A slow machine is no fault.
    deadline=None,
    # The same examples on each run: a test that fails now and then is no help.
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
OF_A_TASK = {"task_id", "goal", "status", "priority", "created_at", "metadata"}
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
# What means something to a parser, and what may be in no text.
pieces = (
    st.binary(max_size=4)
    | st.sampled_from(rb'" \ \u0000 \ud800 { } [ ] , : null NaN 1e400 - 0'.split())
    | st.sampled_from([b"\0", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"9" * 4301])
)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """A good body with some of its bytes flipped, cut out, doubled, or others put in."""
    body = draw(good_bodies)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, len(body)))
        match draw(st.sampled_from(["flip", "end", "cut out", "double", "put in"])):
            case "flip":
                flipped = bytes(byte ^ 1 << start % 8 for byte in body[start : start + 1])
                body = body[:start] + flipped + body[start + 1 :]
            case "end":
                body = body[:start]
            case "cut out":
                body = body[:start] + body[end:]
            case "double":
                body = body[:end] + body[start:]
            case "put in":
                body = body[:start] + draw(pieces) + body[start:]
    return body


@st.composite
def bodies_with_doubled_keys(draw: st.DrawFn) -> bytes:
    """Members one after the other, whose keys may be the same."""
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

# Visible characters, as HTTP allows in a header.
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
# By how much the length that is announced differs from what is sent; None for no such header.
length_lies = st.none() | st.integers(-200, 200) | st.sampled_from([-(10**9), 2**20, 2**63, 10**40])


@pytest.fixture(scope="module", autouse=True)
def nothing_unforeseen(unscreened: Service) -> Iterator[None]:
    yield
    messages = {line["message"] for line in unscreened.log_lines()}
    # What we and gunicorn write when something was not foreseen.
    assert messages & {"Internal error", "Error handling request"} == set()


def send(service: Service, body: bytes, headers: dict[str, Any]) -> tuple[int, Any]:
    """Submit `body` under `headers`; return status and JSON of the answer."""
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


def assert_documented(status: int, says: Any, documented: set[int]) -> None:
    """See to it that the answer has the shape that its status promises."""
    assert status in documented, says
    if status == 200:
        assert says.keys() == OF_A_TASK
    elif status == 400 and says.keys() != {"detail"}:
        # By field: faults, or for a list and for the budget faults by place or name.
        assert says
        assert all(isinstance(faults, list | dict) and faults for faults in says.values())
    else:
        assert says.keys() == {"detail"}
        assert isinstance(says["detail"], str)


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
    """Submit, and see to it that something is stored with a 200 and with nothing else."""
    tasks, receipts = count(database)
    status, says = send(service, body, headers)
    assert_documented(status, says, documented)
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
        # What was accepted is strict JSON.
        assert json.loads(body.decode(), object_pairs_hook=unique)["goal"]


@EXAMPLES
@given(
    body=good_bodies | bodies | st.binary(max_size=100),
    content_type=st.none() | content_types,
    lie=length_lies,
    extra=st.sampled_from(
        [{}, {}, {"Transfer-Encoding": "chunked"}, {"Content-Encoding": "gzip"}, {"Accept": "*/*"}]
    ),
)
def test_any_head_of_a_body_is_believed_or_refused(
    unscreened: Service,
    service_database: Any,
    body: bytes,
    content_type: str | None,
    lie: int | None,
    extra: dict[str, str],
) -> None:
    headers: dict[str, Any] = {"Content-Type": content_type, **extra}
    # Both at once are no HTTP, and gunicorn's to refuse.
    if lie is not None and "Transfer-Encoding" not in extra:
        headers["Content-Length"] = max(0, len(body) + lie)
    documented = {200, 400, 411, 413, 415}
    if headers.get("Content-Length", 0) > len(body):
        # It did not come whole, however well what did come reads.
        documented.remove(200)
    submit(unscreened, service_database, body, headers, documented)
