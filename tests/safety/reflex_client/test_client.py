"""The requests of the Reflex client, and how it handles each answer."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safety.findings import Answer, Kind, Match, Severity
from safety.outbound.exceptions import (
    AnswerTooLong,
    CallFailed,
    DeadlineExceeded,
    RateLimited,
    Rejected,
    ServerFault,
    Unreachable,
    UnusableAnswer,
)
from safety.reflex_client.client import MAX_ANSWER_BYTES, PROBE_TEXT
from tests.reflex_layer import (
    Behaviour,
    ScriptedReflexLayer,
    answer,
    hangs,
    in_turn,
    injection,
    resets,
    says,
)
from tests.safety.calls import Caller, client_of

CLEAN = Answer(blocked=False, matches=(), reflex_request_id="reflex-1")


@pytest.fixture
def peer() -> Iterator[ScriptedReflexLayer]:
    with ScriptedReflexLayer() as scripted:
        yield scripted


@pytest.fixture
def client(peer: ScriptedReflexLayer) -> Caller:
    return client_of(peer.url, 0.5)


def refusal(client: Caller) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        client.process()
    return caught.value


# The request


def test_a_request_on_the_wire(peer: ScriptedReflexLayer, client: Caller) -> None:
    client.process("Grüße, 世界")

    ((method, path, headers, body),) = peer.requests
    assert (method, path) == ("POST", "/process")
    assert headers == {
        "host": peer.url.removeprefix("http://"),
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "user-agent": headers["user-agent"],
        "x-request-id": "request-1",
    }
    assert "Grüße, 世界".encode() in body
    assert json.loads(body) == {
        "text": "Grüße, 世界",
        "user_id": None,
        "check_pii": True,
        "check_injection": True,
        "use_cache": False,
    }


@pytest.mark.parametrize(
    ("base", "path"),
    [("", "/process"), ("/", "/process"), ("/a", "/a/process"), ("/a/b/", "/a/b/process")],
)
def test_the_path_of_the_base_address_is_kept(
    peer: ScriptedReflexLayer, base: str, path: str
) -> None:
    client_of(peer.url + base).process()

    assert [request[1] for request in peer.requests] == [path]


def test_proxy_variables_of_the_environment_are_ignored(
    peer: ScriptedReflexLayer, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert client.process() == CLEAN


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 100_000, id="longest"),
        pytest.param("\x01" * 100_000, id="longest-on-the-wire"),
        pytest.param("\x00\r\n\t\u2028\ufeff\uffff", id="control-characters"),
        pytest.param("\U0010ffff😀\u0301", id="beyond-the-basic-plane"),
        pytest.param('"\\/</script>', id="quotes"),
    ],
)
def test_a_text_arrives_unchanged(peer: ScriptedReflexLayer, client: Caller, text: str) -> None:
    client.process(text)

    assert peer.texts == [text]


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(min_size=1))
def test_any_unicode_arrives_unchanged(
    peer: ScriptedReflexLayer, client: Caller, text: str
) -> None:
    client.process(text)

    assert peer.texts[-1] == text


# The answer


def test_an_answer_is_read(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = says(injection("Critical", status="blocked", matched_text="é"))

    assert client.process() == Answer(
        blocked=True,
        matches=(
            Match(
                Kind.INJECTION,
                "DataExfiltration",
                Severity.CRITICAL,
                confidence=0.8,
                start=0,
                end=3,
            ),
        ),
        reflex_request_id="reflex-1",
    )


def test_the_longest_allowed_answer_is_read(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = says(json.dumps(answer()).encode().ljust(MAX_ANSWER_BYTES))

    assert client.process() == CLEAN


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", AnswerTooLong("answer is too long")),
        ("Application/JSON; charset=utf-8", AnswerTooLong("answer is too long")),
        ("text/html", UnusableAnswer("answer is too long")),
        ("", UnusableAnswer("answer is too long")),
    ],
)
def test_a_longer_answer_is_refused(
    peer: ScriptedReflexLayer, client: Caller, content_type: str, expected: CallFailed
) -> None:
    peer.behaviour = says(
        json.dumps(answer()).encode().ljust(MAX_ANSWER_BYTES + 1),
        headers=f"Content-Type: {content_type}\r\n",
    )

    error = refusal(client)

    assert (type(error), error.reason) == (type(expected), expected.reason)


@pytest.mark.parametrize("cache_hit", [True, 1, "false", None])
def test_an_answer_from_a_cache_is_no_verdict(
    peer: ScriptedReflexLayer, client: Caller, cache_hit: object
) -> None:
    peer.behaviour = says(answer(cache_hit=cache_hit))

    error = refusal(client)

    assert (type(error), error.reason) == (UnusableAnswer, "answer comes from a cache")


# All bodies are clean answers, so that only the status decides.
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("201 Created", UnusableAnswer),
        ("202 Accepted", UnusableAnswer),
        ("204 No Content", UnusableAnswer),
        ("206 Partial Content", UnusableAnswer),
        ("300 Multiple Choices", UnusableAnswer),
        ("304 Not Modified", UnusableAnswer),
        ("400 Bad Request", Rejected),
        ("401 Unauthorized", Rejected),
        ("404 Not Found", Rejected),
        ("413 Content Too Large", Rejected),
        ("499 Odd", Rejected),
        ("500 Internal Server Error", ServerFault),
        ("502 Bad Gateway", ServerFault),
        ("503 Service Unavailable", ServerFault),
        ("599 Odd", ServerFault),
        ("600 Odd", UnusableAnswer),
        ("999 Odd", UnusableAnswer),
        ("103 Early Hints", UnusableAnswer),
        # http.client does not accept these as a status.
        ("099 Odd", Unreachable),
        ("OK", Unreachable),
    ],
)
def test_any_status_but_200_is_no_verdict(
    peer: ScriptedReflexLayer, client: Caller, status: str, expected: type[CallFailed]
) -> None:
    peer.behaviour = says(answer(), status=status)

    assert type(refusal(client)) is expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(peer: ScriptedReflexLayer, client: Caller, status: int) -> None:
    peer.behaviour = says(
        answer(), status=f"{status} Moved", headers=f"Location: {peer.url}/elsewhere\r\n"
    )

    error = refusal(client)

    assert (type(error), error.reason) == (UnusableAnswer, "unexpected status code")
    assert [request[1] for request in peer.requests] == ["/process"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("3600", 3600),
        pytest.param("86400", 3600, id="a-day"),
        pytest.param("9" * 12, 3600, id="ages"),
        pytest.param("9" * 60_000, 3600, id="more-digits-than-python-reads"),
        # For a value that is not a number of seconds, the default applies.
        ("Wed, 21 Oct 2065 07:28:00 GMT", 60),
        ("-5", 60),
        ("1.5", 60),
        ("soon", 60),
        ("", 60),
        (None, 60),
    ],
)
def test_a_rate_limit_says_when_to_retry(
    peer: ScriptedReflexLayer, client: Caller, value: str | None, seconds: int
) -> None:
    header = "" if value is None else f"Retry-After: {value}\r\n"
    peer.behaviour = says({}, status="429 Too Many Requests", headers=header)

    error = refusal(client)

    assert (type(error), error.reason, error.retry_after_seconds) == (
        RateLimited,
        "rate limited",
        seconds,
    )


def test_a_rate_limit_in_a_200_counts_too(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = says(answer(status="ratelimited"))

    error = refusal(client)

    assert (type(error), error.retry_after_seconds) == (RateLimited, 60)


def test_a_server_fault_is_not_retried_and_its_retry_after_is_ignored(
    peer: ScriptedReflexLayer, client: Caller
) -> None:
    peer.behaviour = says({}, status="503 Service Unavailable", headers="Retry-After: 7\r\n")

    error = refusal(client)

    assert (type(error), error.retry_after_seconds) == (ServerFault, 5)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "x-odd"])
def test_a_compressed_answer_is_refused_unread(
    peer: ScriptedReflexLayer, client: Caller, encoding: str
) -> None:
    peer.behaviour = says(answer(), headers=f"Content-Encoding: {encoding}\r\n")

    error = refusal(client)

    assert (type(error), error.reason) == (UnusableAnswer, "answer is compressed")


# Readiness


def test_a_readiness_check_has_no_body(peer: ScriptedReflexLayer, client: Caller) -> None:
    assert client.client.is_ready(deadline_seconds=0.5) is True

    ((method, path, _, body),) = peer.requests
    assert (method, path, body) == ("GET", "/ready", b"")


@pytest.mark.parametrize(
    "status",
    ["503 Service Unavailable", "500 Error", "429 Too Many Requests", "404 Not Found", "302 Found"],
)
def test_only_a_200_means_ready(peer: ScriptedReflexLayer, client: Caller, status: str) -> None:
    peer.behaviour = says({"status": "ready", "ready": True}, status=status)

    assert client.client.is_ready(deadline_seconds=0.5) is False


def test_it_is_not_ready_if_it_hangs(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = hangs()

    assert client.client.is_ready(deadline_seconds=0.2) is False


def test_a_readiness_check_is_not_retried(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = resets

    assert client.client.is_ready(deadline_seconds=0.5) is False
    assert len(peer.requests) == 1


def test_it_is_not_ready_if_it_is_down() -> None:
    with ScriptedReflexLayer() as gone:
        client = client_of(gone.url)

    assert client.client.is_ready(deadline_seconds=0.5) is False


def test_a_readiness_check_has_its_own_deadline(peer: ScriptedReflexLayer, client: Caller) -> None:
    peer.behaviour = hangs()

    assert client.client.is_ready(deadline_seconds=0.1) is False
    # It does not use up the deadline of a screening.
    assert type(refusal(client)) is DeadlineExceeded
    peer.behaviour = says(answer())
    assert client.process() == CLEAN


# The probe


READY = says({"status": "ready"})


def test_a_probe_checks_readiness_and_screens_a_text(
    peer: ScriptedReflexLayer, client: Caller
) -> None:
    assert client.client.probe(deadline_seconds=0.5) is True

    assert [request[:2] for request in peer.requests] == [("GET", "/ready"), ("POST", "/process")]
    assert json.loads(peer.requests[1][3])["text"] == PROBE_TEXT


LIMITED = says({}, status="429 Too Many Requests")


@pytest.mark.parametrize(
    ("behaviours", "works"),
    [
        pytest.param([READY, says(injection("Critical"))], True, id="finds"),
        pytest.param([LIMITED], True, id="readiness-limited"),
        pytest.param([READY, LIMITED], True, id="screening-limited"),
        pytest.param([READY, says(answer(status="ratelimited"))], True, id="limited-in-a-200"),
        pytest.param([READY, says({}, status="400 Bad")], True, id="screening-rejected"),
        pytest.param([says({}, status="503 Not Ready")], False, id="not-ready"),
        pytest.param([says({}, status="404 Not Found")], False, id="no-readiness"),
        # The public Reflex Layer, as it was published.
        pytest.param([READY, says({}, status="500 Error")], False, id="screening-broken"),
        pytest.param([READY, says(b"<html>")], False, id="nonsense"),
        pytest.param([READY, says(answer(cache_hit=True))], False, id="from-a-cache"),
        pytest.param([resets], False, id="down"),
        pytest.param([READY, hangs()], False, id="hangs"),
    ],
)
def test_a_probe_tells_whether_the_peer_screens(
    peer: ScriptedReflexLayer, client: Caller, behaviours: list[Behaviour], works: bool
) -> None:
    peer.behaviour = in_turn(*behaviours)

    assert client.client.probe(deadline_seconds=0.3) is works


@pytest.mark.alone
def test_a_probe_has_one_deadline_for_both(peer: ScriptedReflexLayer, client: Caller) -> None:
    def late(connection: socket.socket) -> bool:
        threading.Event().wait(0.2)
        return READY(connection)

    peer.behaviour = in_turn(late, hangs())
    started = time.monotonic()

    assert client.client.probe(deadline_seconds=0.4) is False
    assert time.monotonic() - started < 0.55
