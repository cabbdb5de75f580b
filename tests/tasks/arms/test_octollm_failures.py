"""Calls of `octollm` arms that have no answer, on real sockets."""

import json
import math
import socket
import threading
from decimal import Decimal
from typing import Any

import pytest

from safety.outbound.transport import Deadline
from tasks.arms.description import Arm, Protocol
from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Usage
from tests import reflex_layer
from tests.arms import (
    Behaviour,
    Held,
    ScriptedArm,
    closes,
    error,
    fails,
    for_another_task,
    hangs,
    on_the_wire,
    says,
    says_status,
    succeeds,
    too_long,
    trickles,
)
from tests.tasks.arms.calls import SUBJECT, failure, octollm

USAGE = Usage(30, Decimal("0.0125"))


@pytest.fixture
def adapter(scripted: ScriptedArm) -> OctollmAdapter:
    return OctollmAdapter(octollm(scripted))


LATER = "503 Service Unavailable"
HTML = b"<html>Bad Gateway</html>"
# Description: behaviour, and the expected exception with retryable, wait and usage.
OUTCOMES: dict[str, tuple[Behaviour, type[ArmError], bool, float, Usage]] = {
    # The arm's own words
    "failed": (fails(), Failed, False, 0, USAGE),
    "failed-retryable": (
        fails(retryable=True, retry_after_seconds=9),
        Failed,
        True,
        9,
        USAGE,
    ),
    "failed-and-odd-words": (
        fails(retryable="yes", retry_after_seconds="soon"),
        Failed,
        False,
        0,
        USAGE,
    ),
    "failed-and-waits-for-years": (
        fails(retryable=True, retry_after_seconds=1e300),
        Failed,
        True,
        3_600,
        USAGE,
    ),
    "failed-without-an-error": (succeeds(None, success=False), Failed, False, 0, USAGE),
    "failed-with-an-odd-error": (
        succeeds(None, success=False, error={"error_code": "X", "category": ["internal"]}),
        Failed,
        False,
        0,
        USAGE,
    ),
    "result-and-failure": (succeeds("done", success=False, error=error()), Failed, False, 0, USAGE),
    "no-result": (succeeds(None), Failed, False, 0, USAGE),
    "another-task": (for_another_task(), Failed, False, 0, USAGE),
    "task-id-without-its-prefix": (succeeds(task_id=str(SUBJECT)), Failed, False, 0, USAGE),
    "too-long": (too_long(), Failed, False, 0, Usage()),
    # Results that cannot be stored
    "nan": (succeeds({"n": math.nan}), Failed, False, 0, USAGE),
    "infinity": (succeeds([math.inf]), Failed, False, 0, USAGE),
    "too-large-a-number": (
        says(b'{"task_id": "task-%s", "success": true, "result": 1e999}' % str(SUBJECT).encode()),
        Failed,
        False,
        0,
        Usage(),
    ),
    "nul": (succeeds("a\0b"), Failed, False, 0, USAGE),
    "nul-in-a-key": (succeeds([{"a\0b": 1}]), Failed, False, 0, USAGE),
    "lone-surrogate": (succeeds("\ud800"), Failed, False, 0, USAGE),
    "too-deep": (succeeds(json.loads("[" * 101 + "]" * 101)), Failed, False, 0, USAGE),
    # Errors as the body of a bad status
    "400-with-an-error": (
        fails("validation", status="400 Bad Request"),
        Refused,
        False,
        0,
        Usage(),
    ),
    "401-with-an-error": (
        fails("authentication", status="401 Unauthorized"),
        Refused,
        False,
        0,
        Usage(),
    ),
    "409-with-a-retryable-error": (
        fails("external", status="409 Conflict", retryable=True, retry_after_seconds=3),
        Refused,
        True,
        3,
        Usage(),
    ),
    "503-with-a-final-error": (fails("internal", status=LATER), Refused, False, 5, Usage()),
    "503-with-a-later-error": (
        fails("rate_limit", status=LATER, retryable=True, retry_after_seconds=20),
        Refused,
        True,
        20,
        Usage(),
    ),
    "500-with-an-error": (fails(status="500 Error"), Failed, False, 0, Usage()),
    "504-with-a-retryable-error": (
        fails("timeout", status="504 Timeout", retryable=True),
        Failed,
        True,
        0,
        Usage(),
    ),
    # Bad statuses without an error
    "400": (says_status("400 Bad Request"), Refused, False, 0, Usage()),
    "422-of-a-framework": (
        says_status("422 Unprocessable", body={"detail": [{"msg": "Field required"}]}),
        Refused,
        False,
        0,
        Usage(),
    ),
    "401": (says_status("401 Unauthorized"), Misconfigured, False, 0, Usage()),
    "403": (says_status("403 Forbidden", body=HTML), Misconfigured, False, 0, Usage()),
    "404": (
        says_status("404 Not Found", body={"detail": "Not Found"}),
        Misconfigured,
        False,
        0,
        Usage(),
    ),
    "308": (
        says(b"", status="308 Moved", headers="Location: /v2/execute\r\n"),
        Misconfigured,
        False,
        0,
        Usage(),
    ),
    "429": (says_status("429 Too Many", retry_after="7"), Refused, True, 7, Usage()),
    "429-without-a-time": (says_status("429 Too Many"), Refused, True, 5, Usage()),
    "503": (says_status(LATER, retry_after="9999999", body=HTML), Refused, True, 3_600, Usage()),
    "413-too-long": (
        says_status("413 Too Large", body=b"x" * 1_100_000),
        Refused,
        False,
        0,
        Usage(),
    ),
    # Unknown outcomes
    "302": (
        says(b"", status="302 Found", headers="Location: /login\r\n"),
        OutcomeUnknown,
        False,
        0,
        Usage(),
    ),
    "201": (says_status("201 Created", body={}), OutcomeUnknown, False, 0, Usage()),
    "204": (says_status("204 No Content"), OutcomeUnknown, False, 0, Usage()),
    "408": (says_status("408 Request Timeout"), OutcomeUnknown, False, 0, Usage()),
    "500": (says_status("500 Error", retry_after="3"), OutcomeUnknown, False, 0, Usage()),
    "502": (says_status("502 Bad Gateway", body=HTML), OutcomeUnknown, False, 0, Usage()),
    "504": (says_status("504 Gateway Timeout"), OutcomeUnknown, False, 0, Usage()),
    "500-with-another-error": (
        says_status("500 Error", body={"error_code": "X", "category": "odd"}),
        OutcomeUnknown,
        False,
        0,
        Usage(),
    ),
    "closes": (closes(), OutcomeUnknown, False, 0, Usage()),
    "resets": (on_the_wire(reflex_layer.resets), OutcomeUnknown, False, 0, Usage()),
    "html": (says(HTML), OutcomeUnknown, False, 0, Usage()),
    "nothing": (says(b""), OutcomeUnknown, False, 0, Usage()),
    "half-of-an-answer": (
        on_the_wire(reflex_layer.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")),
        OutcomeUnknown,
        False,
        0,
        Usage(),
    ),
    "duplicate-keys": (
        says(b'{"success": false, "success": true, "result": 1}'),
        OutcomeUnknown,
        False,
        0,
        Usage(),
    ),
    "not-utf-8": (says(b'{"success": "\xff'), OutcomeUnknown, False, 0, Usage()),
    "far-too-deep": (says(b"[" * 100_000), OutcomeUnknown, False, 0, Usage()),
    "too-many-digits": (says(b"9" * 5_000), OutcomeUnknown, False, 0, Usage()),
    "list": (says([]), OutcomeUnknown, False, 0, Usage()),
    "no-success": (succeeds(success=None), OutcomeUnknown, False, 0, Usage()),
    "success-in-words": (succeeds(success="true"), OutcomeUnknown, False, 0, Usage()),
}


@pytest.mark.parametrize(
    ("behaviour", "kind", "is_retryable", "wait_seconds", "usage"),
    OUTCOMES.values(),
    ids=OUTCOMES.keys(),
)
def test_a_call_without_an_answer_says_what_may_be_done(
    scripted: ScriptedArm,
    adapter: OctollmAdapter,
    behaviour: Behaviour,
    kind: type[ArmError],
    is_retryable: bool,
    wait_seconds: float,
    usage: Usage,
) -> None:
    scripted.behaviour = behaviour

    error = failure(adapter)

    assert (type(error), error.is_retryable, error.retry_after_seconds, error.usage) == (
        kind,
        is_retryable,
        wait_seconds,
        usage,
    )
    # Nothing is repeated here.
    assert scripted.connections == 1


@pytest.mark.parametrize("behaviour", [hangs(), trickles()], ids=["hangs", "trickles"])
def test_a_deadline_after_the_request_leaves_the_outcome_unknown(
    scripted: ScriptedArm, adapter: OctollmAdapter, behaviour: Behaviour
) -> None:
    scripted.behaviour = behaviour

    error = failure(adapter, seconds=0.2)

    assert (type(error), error.detail) == (OutcomeUnknown, "deadline exceeded")


def test_a_cancel_after_the_request_leaves_the_outcome_unknown(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    scripted.behaviour = held = Held()
    deadline = Deadline(30)

    def cancel() -> None:
        held.arrived.wait(30)
        deadline.cancel()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    error = failure(adapter, deadline=deadline)
    cancelling.join()
    held.release()

    assert (type(error), error.detail) == (OutcomeUnknown, "call cancelled")


def test_a_cancel_before_the_request_sends_nothing(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    deadline = Deadline(30)
    deadline.cancel()

    assert type(failure(adapter, deadline=deadline)) is NotSent
    assert scripted.requests == []


def test_an_arm_that_is_down_got_nothing(scripted: ScriptedArm, adapter: OctollmAdapter) -> None:
    scripted.go_down()

    assert type(failure(adapter)) is NotSent


def test_a_connection_that_fails_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[Any] = []

    def getaddrinfo(*args: Any, **_: Any) -> list[Any]:
        lookups.append(args)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    adapter = OctollmAdapter(Arm("words", Protocol.OCTOLLM, "http://arm.example"))

    assert type(failure(adapter)) is NotSent
    assert len(lookups) == 1


def test_no_text_of_the_arm_gets_into_the_exception(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    scripted.behaviour = fails("external", message="s3cret", error_code="S_SECRET")

    error = failure(adapter)

    assert (error.detail, str(error)) == ("external error", "external error")
