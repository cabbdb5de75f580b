"""Calls of model servers that have no answer, on real sockets."""

from decimal import Decimal
from typing import Any

import pytest

from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    ParameterRefused,
    Refused,
)
from tasks.arms.openai import OpenaiAdapter
from tasks.arms.work import Usage
from tests.arms import (
    Behaviour,
    ScriptedArm,
    closes,
    completes,
    hangs,
    refuses_parameter,
    says,
    says_status,
)
from tests.tasks.arms.calls import call, failure, openai


@pytest.fixture
def adapter(scripted: ScriptedArm) -> OpenaiAdapter:
    return OpenaiAdapter(openai(scripted))


USED = Usage(30, Decimal(0))
TOO_LONG = {
    "message": "This model's maximum context length is 4097 tokens. Please reduce max_tokens.",
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}
TOO_MANY = {
    "message": "max_tokens is too large: 8192. This model supports at most 4096 tokens.",
    "type": "invalid_request_error",
    "param": "max_tokens",
    "code": None,
}
OUTCOMES: dict[str, tuple[Behaviour, type[ArmError], bool, float, Usage]] = {
    "cut-off": (completes("half", finish_reason="length"), Failed, False, 0, USED),
    "filtered": (completes("half", finish_reason="content_filter"), Failed, False, 0, USED),
    "refusal": (completes("Sorry.", refusal="I cannot help with that."), Failed, False, 0, USED),
    "no-content": (completes(None), Failed, False, 0, USED),
    "blank": (completes(" \n"), Failed, False, 0, USED),
    "content-of-parts": (completes([{"type": "text"}]), Failed, False, 0, USED),
    "nul": (completes("a\0b"), Failed, False, 0, USED),
    "lone-surrogate": (completes("\udfff"), Failed, False, 0, USED),
    "nul-in-a-document": (completes('{"a": "\\u0000"}'), Failed, False, 0, USED),
    "too-deep": (completes("[" * 101 + "]" * 101), Failed, False, 0, USED),
    "too-long": (completes("x" * 1_100_000), Failed, False, 0, Usage()),
    "400": (says_status("400 Bad Request", body={"error": TOO_LONG}), Refused, False, 0, Usage()),
    "400-for-a-value": (
        says_status("400 Bad Request", body={"error": TOO_MANY}),
        Refused,
        False,
        0,
        Usage(),
    ),
    "400-of-no-json": (says_status("400 Bad Request"), Refused, False, 0, Usage()),
    "400-of-a-list": (says_status("400 Bad", body=["temperature"]), Refused, False, 0, Usage()),
    "422": (says_status("422 Unprocessable"), Refused, False, 0, Usage()),
    "401": (says_status("401 Unauthorized"), Misconfigured, False, 0, Usage()),
    "403": (says_status("403 Forbidden"), Misconfigured, False, 0, Usage()),
    "404": (says_status("404 Not Found"), Misconfigured, False, 0, Usage()),
    "429": (says_status("429 Too Many", retry_after="12"), Refused, True, 12, Usage()),
    "503": (says_status("503 Unavailable"), Refused, True, 5, Usage()),
    "408": (says_status("408 Timeout"), OutcomeUnknown, False, 0, Usage()),
    "500": (says_status("500 Error"), OutcomeUnknown, False, 0, Usage()),
    "529": (says_status("529 Overloaded"), OutcomeUnknown, False, 0, Usage()),
    "closes": (closes(), OutcomeUnknown, False, 0, Usage()),
    "html": (says(b"<html>"), OutcomeUnknown, False, 0, Usage()),
    "error-with-200": (says({"error": {"message": "no"}}), OutcomeUnknown, False, 0, Usage()),
    "no-choices": (says({"choices": []}), OutcomeUnknown, False, 0, Usage()),
    "odd-choices": (says({"choices": "x"}), OutcomeUnknown, False, 0, Usage()),
    "no-message": (says({"choices": [{}]}), OutcomeUnknown, False, 0, Usage()),
    "list": (says([]), OutcomeUnknown, False, 0, Usage()),
}


@pytest.mark.parametrize(
    ("behaviour", "kind", "is_retryable", "wait_seconds", "usage"),
    OUTCOMES.values(),
    ids=OUTCOMES.keys(),
)
def test_a_call_without_an_answer_says_what_may_be_done(
    scripted: ScriptedArm,
    adapter: OpenaiAdapter,
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
    assert scripted.connections == 1


def test_a_deadline_leaves_the_outcome_unknown(
    scripted: ScriptedArm, adapter: OpenaiAdapter
) -> None:
    scripted.behaviour = hangs()

    assert type(failure(adapter, seconds=0.2)) is OutcomeUnknown


def test_a_server_that_is_down_got_nothing(scripted: ScriptedArm, adapter: OpenaiAdapter) -> None:
    scripted.go_down()

    assert type(failure(adapter)) is NotSent


# Parameters

# What servers say about a parameter that they do not take.
REFUSALS: dict[str, tuple[Any, str]] = {
    "openai-value": (
        {
            "error": {
                "message": "Unsupported value: 'temperature' does not support 0 with this model.",
                "param": "temperature",
                "code": "unsupported_value",
            }
        },
        "temperature",
    ),
    "openai-parameter": (
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        },
        "max_tokens",
    ),
    "only-a-message": (
        {"error": {"message": "litellm: model does not support parameters: ['temperature']"}},
        "temperature",
    ),
    "an-error-by-itself": (
        {"object": "error", "message": "unknown field max_tokens", "param": None, "code": 400},
        "max_tokens",
    ),
}


@pytest.mark.parametrize(("body", "parameter"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_400_that_names_a_parameter_says_so(
    scripted: ScriptedArm, adapter: OpenaiAdapter, body: Any, parameter: str
) -> None:
    scripted.behaviour = says_status("400 Bad Request", body=body)

    error = failure(adapter)

    assert isinstance(error, ParameterRefused)
    assert (error.parameter, error.is_retryable, error.retry_after_seconds) == (parameter, True, 0)


def test_a_parameter_that_was_not_sent_cannot_be_refused(scripted: ScriptedArm) -> None:
    adapter = OpenaiAdapter(openai(scripted, refused_parameters=("temperature",)))
    body, _ = REFUSALS["openai-value"]
    scripted.behaviour = says_status("400 Bad Request", body=body)

    assert type(failure(adapter)) is Refused


@pytest.mark.parametrize("parameter", ["temperature", "max_tokens"])
def test_a_second_call_without_the_parameter_succeeds(
    scripted: ScriptedArm, parameter: str
) -> None:
    scripted.behaviour = refuses_parameter(parameter)
    error = failure(OpenaiAdapter(openai(scripted)))
    assert isinstance(error, ParameterRefused)

    second = OpenaiAdapter(openai(scripted, refused_parameters=(error.parameter,)))

    assert call(second).result == "done"
