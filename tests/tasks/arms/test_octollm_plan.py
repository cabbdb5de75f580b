"""Planners that speak `octollm`, on real sockets."""

import math
from decimal import Decimal
from typing import Any

import pytest

from tasks.arms.description import Capability
from tasks.arms.exceptions import TooLittleBudget
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Answer, Usage
from tests.arms import PROVENANCE, ScriptedArm, says
from tests.tasks.arms.calls import KEY, call, octollm, sent, work

PLANNING = {"arms": [{"name": "words", "capabilities": ["execute"]}]}
STEP = {
    "step_number": 1,
    "action": "Read the reviews",
    "arm_id": "words",
    "acceptance_criteria": ["Every review is read"],
    "dependencies": [],
    "estimated_duration_seconds": 30,
}


@pytest.fixture
def adapter(scripted: ScriptedArm) -> OctollmAdapter:
    return OctollmAdapter(octollm(scripted))


def answer_with(scripted: ScriptedArm, adapter: OctollmAdapter, answer: Any) -> Answer:
    scripted.behaviour = says(answer)
    return call(adapter, capability=Capability.PLAN)


# The request


def test_the_request_is_that_of_the_protocol(adapter: OctollmAdapter) -> None:
    request = adapter.request(
        work(capability=Capability.PLAN, context={"planning": PLANNING, "reviews": ["Größte"]})
    )

    assert sent(request.body) == {
        "goal": "Analyze sentiment of user reviews",
        "constraints": ["No PII in output"],
        "context": {"planning": PLANNING, "reviews": ["Größte"]},
        "request_id": str(KEY),
    }
    assert (request.tokens, request.cost_usd) == (2_000, Decimal("0.5"))


def test_there_is_no_request_without_tokens(adapter: OctollmAdapter) -> None:
    with pytest.raises(TooLittleBudget):
        adapter.request(work(capability=Capability.PLAN, max_tokens=0))


def test_the_bytes_and_headers_arrive(scripted: ScriptedArm) -> None:
    adapter = OctollmAdapter(octollm(scripted), "s3cret")
    body = adapter.request(work(capability=Capability.PLAN)).body
    scripted.behaviour = says({"steps": []})

    call(adapter, body=body, capability=Capability.PLAN, request_id="request-1")

    [request] = scripted.requests
    assert (request.method, request.path, request.body) == ("POST", "/plan", body)
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["x-request-id"] == "request-1"
    assert scripted.keys == [str(KEY)]


# Answers


def test_a_plan_has_steps_confidence_and_no_usage(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    answer = {"plan_id": "plan-1", "steps": [STEP], "confidence": 0.8}

    assert answer_with(scripted, adapter, answer) == Answer({"steps": [STEP]}, 0.8, Usage())


@pytest.mark.parametrize(
    ("step", "reduced"),
    [
        (
            {"step": 2, "action": "Sum up", "required_arm": "execute", "depends_on": [1]},
            {"step_number": 2, "action": "Sum up", "arm_id": "execute", "dependencies": [1]},
        ),
        (
            {"step": 2, "step_number": 3, "required_arm": "a", "arm_id": "b", "depends_on": [1]}
            | {"dependencies": None},
            {"step_number": 3, "arm_id": "b", "dependencies": None},
        ),
        ({"action": "Sum up", "id": "x", "context": {"task": "other"}}, {"action": "Sum up"}),
        (
            {"action": ["Sum", "up"], "step": "1", "acceptance_criteria": "short"},
            {"step_number": "1", "action": ["Sum", "up"], "acceptance_criteria": "short"},
        ),
        ({}, {}),
    ],
    ids=["aliases", "both-names", "other-keys", "values-of-other-kinds", "empty"],
)
def test_a_step_is_reduced_to_the_fields_of_the_protocol(
    scripted: ScriptedArm, adapter: OctollmAdapter, step: Any, reduced: Any
) -> None:
    assert answer_with(scripted, adapter, {"steps": [step]}).result == {"steps": [reduced]}


def test_a_step_that_is_no_object_stays(scripted: ScriptedArm, adapter: OctollmAdapter) -> None:
    steps = ["Sum up", None, 1, [STEP], STEP]

    assert answer_with(scripted, adapter, {"steps": steps}).result == {"steps": steps}


@pytest.mark.parametrize(
    ("answer", "steps"),
    [
        ({"plan": [STEP]}, [STEP]),
        ({"plan": [], "steps": [STEP]}, [STEP]),
        ({"plan": [STEP], "steps": "none"}, []),
        ({"steps": {"1": STEP}}, []),
        ({"steps": None}, []),
        ({"plan": {"steps": [STEP]}}, []),
        ({}, []),
    ],
    ids=["alias", "both-names", "the-first-is-a-text", "object", "null", "nested", "missing"],
)
def test_the_list_of_steps_has_two_names(
    scripted: ScriptedArm, adapter: OctollmAdapter, answer: Any, steps: list[Any]
) -> None:
    assert answer_with(scripted, adapter, answer).result == {"steps": steps}


@pytest.mark.parametrize(("written", "kept"), [(500, 500), (501, 501), (20_000, 501)])
def test_one_step_more_than_500_is_kept(
    scripted: ScriptedArm, adapter: OctollmAdapter, written: int, kept: int
) -> None:
    steps = [{"step_number": number} for number in range(1, written + 1)]

    result = answer_with(scripted, adapter, {"steps": steps}).result

    assert result == {"steps": steps[:kept]}


@pytest.mark.parametrize("reported", [None, "0.8", True, 1.5, -1, math.nan, [0.8]])
def test_a_confidence_that_cannot_be_one_is_half(
    scripted: ScriptedArm, adapter: OctollmAdapter, reported: Any
) -> None:
    answer = {"steps": [STEP], "confidence": reported}

    assert answer_with(scripted, adapter, answer).confidence == 0.5


@pytest.mark.parametrize(
    ("provenance", "usage"),
    [
        (PROVENANCE, Usage(30, Decimal("0.0125"))),
        ({"tokens_consumed": 30}, Usage(30, None)),
        ({"tokens_consumed": -1, "estimated_cost_usd": "0.1"}, Usage()),
        (None, Usage()),
        ([30], Usage()),
    ],
    ids=["whole", "only-tokens", "absurd", "null", "list"],
)
def test_the_usage_is_that_of_the_provenance(
    scripted: ScriptedArm, adapter: OctollmAdapter, provenance: Any, usage: Usage
) -> None:
    answer = {"steps": [STEP], "confidence": 0.8, "provenance": provenance}

    # The confidence of the provenance is none of the plan.
    assert answer_with(scripted, adapter, answer) == Answer({"steps": [STEP]}, 0.8, usage)


@pytest.mark.parametrize(
    "others", [{"task_id": "task-other"}, {"success": True}], ids=["task-id", "success"]
)
def test_other_fields_of_an_answer_are_ignored(
    scripted: ScriptedArm, adapter: OctollmAdapter, others: dict[str, Any]
) -> None:
    assert answer_with(scripted, adapter, {"steps": [STEP], **others}).result == {"steps": [STEP]}
