"""Calls of planners and judges that have no answer, on real sockets."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tasks.arms.description import Capability
from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    ParameterRefused,
    Refused,
)
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.openai import OpenaiAdapter
from tasks.arms.work import Usage
from tests.arms import (
    PROVENANCE,
    Behaviour,
    ScriptedArm,
    closes,
    completes,
    error,
    fails,
    hangs,
    refuses_parameter,
    says,
    says_status,
)
from tests.tasks.arms.calls import call, failure, octollm, openai, work

CAPABILITIES = (Capability.PLAN, Capability.VALIDATE)
USAGE = Usage(30, Decimal("0.0125"))
USED = Usage(30, Decimal(0))
UNABLE = {"success": False, "provenance": PROVENANCE}
# What every protocol answers. Description: behaviour, exception, retryable, wait and usage.
STATUSES: dict[str, tuple[Behaviour, type[ArmError], bool, float, Usage]] = {
    "400": (says_status("400 Bad Request"), Refused, False, 0, Usage()),
    "422": (says_status("422 Unprocessable"), Refused, False, 0, Usage()),
    "401": (says_status("401 Unauthorized"), Misconfigured, False, 0, Usage()),
    "404": (says_status("404 Not Found"), Misconfigured, False, 0, Usage()),
    "429": (says_status("429 Too Many", retry_after="12"), Refused, True, 12, Usage()),
    "503": (says_status("503 Unavailable"), Refused, True, 5, Usage()),
    "500": (says_status("500 Error"), OutcomeUnknown, False, 0, Usage()),
    "closes": (closes(), OutcomeUnknown, False, 0, Usage()),
    "html": (says(b"<html>"), OutcomeUnknown, False, 0, Usage()),
    "list": (says([]), OutcomeUnknown, False, 0, Usage()),
    "null": (says(None), OutcomeUnknown, False, 0, Usage()),
    "too-long": (says(b'{"steps": "%s"}' % (b"x" * 1_100_000)), Failed, False, 0, Usage()),
}
OCTOLLM = STATUSES | {
    "failed": (says(UNABLE | {"error": error()}), Failed, False, 0, USAGE),
    "failed-retryable": (
        says(UNABLE | {"error": error(retryable=True, retry_after_seconds=9)}),
        Failed,
        True,
        9,
        USAGE,
    ),
    "failed-without-an-error": (says(UNABLE), Failed, False, 0, USAGE),
    "400-with-an-error": (
        fails("validation", status="400 Bad Request"),
        Refused,
        False,
        0,
        Usage(),
    ),
    "404-with-an-error": (fails("not_found", status="404 None"), Refused, False, 0, Usage()),
    "500-with-an-error": (fails(status="500 Error"), Failed, False, 0, Usage()),
}
OPENAI = STATUSES | {
    "cut-off": (completes("{}", finish_reason="length"), Failed, False, 0, USED),
    "filtered": (completes("{}", finish_reason="content_filter"), Failed, False, 0, USED),
    "refusal": (completes("{}", refusal="I cannot help with that."), Failed, False, 0, USED),
    "no-content": (completes(None), Failed, False, 0, USED),
    "blank": (completes(" \n"), Failed, False, 0, USED),
    "no-choices": (says({"choices": []}), OutcomeUnknown, False, 0, Usage()),
}


def failed_call(adapter: OctollmAdapter | OpenaiAdapter, capability: Capability) -> ArmError:
    body = adapter.request(work(capability=capability, max_tokens=20_000)).body
    return failure(adapter, body=body, capability=capability)


def facts(failed: ArmError) -> tuple[type[ArmError], bool, float, Usage]:
    return type(failed), failed.is_retryable, failed.retry_after_seconds, failed.usage


CASES = {
    f"{protocol}-{name}": (adapter_of, *case)
    for protocol, adapter_of, cases in (
        ("octollm", lambda scripted: OctollmAdapter(octollm(scripted)), OCTOLLM),
        ("openai", lambda scripted: OpenaiAdapter(openai(scripted)), OPENAI),
    )
    for name, case in cases.items()
}


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("adapter_of", "behaviour", "kind", "is_retryable", "wait_seconds", "usage"),
    CASES.values(),
    ids=CASES.keys(),
)
def test_a_call_without_an_answer_says_what_may_be_done(
    scripted: ScriptedArm,
    capability: Capability,
    adapter_of: Callable[[ScriptedArm], OctollmAdapter | OpenaiAdapter],
    behaviour: Behaviour,
    kind: type[ArmError],
    is_retryable: bool,
    wait_seconds: float,
    usage: Usage,
) -> None:
    scripted.behaviour = behaviour

    failed = failed_call(adapter_of(scripted), capability)

    assert facts(failed) == (kind, is_retryable, wait_seconds, usage)
    assert scripted.connections == 1


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_deadline_leaves_the_outcome_unknown(
    scripted: ScriptedArm, capability: Capability
) -> None:
    scripted.behaviour = hangs()

    failed = failure(OctollmAdapter(octollm(scripted)), capability=capability, seconds=0.2)

    assert type(failed) is OutcomeUnknown


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_an_arm_that_is_down_got_nothing(scripted: ScriptedArm, capability: Capability) -> None:
    scripted.go_down()

    assert type(failed_call(OctollmAdapter(octollm(scripted)), capability)) is NotSent
    assert type(failed_call(OpenaiAdapter(openai(scripted)), capability)) is NotSent


# Plans that cannot be stored

DEEP = b"[" * 101 + b"]" * 101


@pytest.mark.parametrize(
    "step",
    [b'{"action": "a\\u0000b"}', b'"\\ud800"', b'{"dependencies": [1e999]}', DEEP],
    ids=["nul", "lone-surrogate", "infinity", "too-deep"],
)
def test_a_plan_that_cannot_be_stored_is_a_failure(scripted: ScriptedArm, step: bytes) -> None:
    plan = b'{"steps": [%s]}' % step
    scripted.behaviour = says(plan)
    octollm_failure = failed_call(OctollmAdapter(octollm(scripted)), Capability.PLAN)
    scripted.behaviour = completes(plan.decode())
    openai_failure = failed_call(OpenaiAdapter(openai(scripted)), Capability.PLAN)

    assert facts(octollm_failure) == (Failed, False, 0, Usage())
    assert facts(openai_failure) == (Failed, False, 0, USED)


# The response format

# What servers say about a schema that they do not take.
REFUSALS: dict[str, Any] = {
    "openai": {
        "error": {
            "message": "Invalid parameter: 'response_format' of type 'json_schema' is not "
            "supported with this model.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    },
    "deepseek": {
        "error": {
            "message": "This response_format type is unavailable now",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_request_error",
        }
    },
    "only-the-parameter": {
        "error": {
            "message": "This model does not support response format `json_schema`.",
            "type": "invalid_request_error",
            "param": "response_format",
        }
    },
}


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_400_that_names_the_response_format_says_so(
    scripted: ScriptedArm, capability: Capability, body: Any
) -> None:
    scripted.behaviour = says_status("400 Bad Request", body=body)

    failed = failed_call(OpenaiAdapter(openai(scripted)), capability)

    assert isinstance(failed, ParameterRefused)
    assert (failed.parameter, failed.is_retryable) == ("response_format", True)


def test_a_second_call_without_the_response_format_succeeds(scripted: ScriptedArm) -> None:
    scripted.behaviour = refuses_parameter("response_format")
    failed = failed_call(OpenaiAdapter(openai(scripted)), Capability.PLAN)
    assert isinstance(failed, ParameterRefused)

    second = OpenaiAdapter(openai(scripted, refused_parameters=(failed.parameter,)))
    body = second.request(work(capability=Capability.PLAN, max_tokens=20_000)).body

    assert call(second, body=body, capability=Capability.PLAN).result == {"steps": []}


def test_execution_asks_for_no_response_format(scripted: ScriptedArm) -> None:
    scripted.behaviour = refuses_parameter("response_format")

    assert call(OpenaiAdapter(openai(scripted))).result == "done"
