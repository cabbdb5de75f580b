"""The verdicts of the bundled arm, which are those of `tasks.arms.forms`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tasks.arms.bundled.request import MAX_CRITERIA, MAX_LEVELS, ValidationRequest
from tasks.arms.bundled.validating import validate
from tasks.arms.forms import judge
from tests.tasks.arms.serving import bundled_arm

MET, NOT_MET, UNDECIDED = "Sentiment is between -1 and 1", "At most 1 word", "It is kind to all"
SHORT = "At most 10 words"
OUTPUT = {"sentiment": 0.5, "steps": 2}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled_arm(tmp_path_factory.mktemp("arm")) as (url, _):
        yield url


def asked(url: str, **fields: Any) -> requests.Response:
    fields = {
        "output": OUTPUT,
        "validation_types": ["criteria"],
        "acceptance_criteria": [MET, NOT_MET, UNDECIDED],
        "context": {},
        "request_id": "key-1",
    } | fields
    return requests.post(f"{url}/validate", json=fields, timeout=10)


def test_each_criterion_is_judged_by_its_form(url: str) -> None:
    answer = asked(url)

    assert answer.status_code == 200
    assert answer.json() == {
        "valid": False,
        "confidence": 1.0,
        "issues": [
            {
                "severity": "error",
                "type": "criterion",
                "message": judge(NOT_MET, OUTPUT).evidence,
                "location": NOT_MET,
                "suggestion": "",
            }
        ],
        "passed_criteria": [MET],
        "failed_criteria": [NOT_MET],
        "quality_score": pytest.approx(1 / 3),
        "provenance": {
            "arm_id": "bundled",
            "tokens_consumed": 0,
            "estimated_cost_usd": 0,
            "confidence": 1.0,
            "model_used": "rules",
        },
    }


SUMS = {
    "none": ([], True, 1.0, 1.0),
    "met": ([MET], True, 1.0, 1.0),
    "not-met": ([NOT_MET], False, 1.0, 0.0),
    "undecided": ([UNDECIDED], False, 0.0, 0.0),
    "met-and-undecided": ([MET, UNDECIDED], False, 1.0, 0.5),
    "met-twice": ([MET, MET], True, 1.0, 1.0),
}


@pytest.mark.parametrize(
    ("criteria", "is_valid", "confidence", "score"), SUMS.values(), ids=SUMS.keys()
)
def test_a_result_is_valid_if_every_criterion_is_met(
    criteria: list[str], is_valid: bool, confidence: float, score: float
) -> None:
    verdict = validate(ValidationRequest(OUTPUT, criteria))

    assert (verdict["valid"], verdict["confidence"], verdict["quality_score"]) == (
        is_valid,
        confidence,
        score,
    )


def test_a_criterion_that_is_given_twice_is_listed_once() -> None:
    verdict = validate(ValidationRequest(OUTPUT, [MET, NOT_MET, MET, NOT_MET]))

    assert (verdict["passed_criteria"], verdict["failed_criteria"]) == ([MET], [NOT_MET])


@pytest.mark.parametrize("output", [None, "", 0, [], {}], ids=json.dumps)
def test_any_value_is_an_output(url: str, output: Any) -> None:
    verdict = asked(url, output=output, acceptance_criteria=[SHORT]).json()

    assert verdict["valid"] is True


@pytest.mark.parametrize("missing", ["validation_types", "context", "request_id"])
def test_a_request_needs_only_output_and_criteria(url: str, missing: str) -> None:
    fields = {"output": OUTPUT, "acceptance_criteria": [MET], "validation_types": ["criteria"]}
    fields.pop(missing, None)

    answer = requests.post(f"{url}/validate", json=fields, timeout=10)

    assert answer.json()["passed_criteria"] == [MET]


def test_other_kinds_of_validation_are_a_definite_error(url: str) -> None:
    answer = asked(url, validation_types=["facts"])

    assert (answer.status_code, answer.json()["error_code"]) == (422, "NOT_SUPPORTED")


INVALID = {
    "no-output": ({}, "output is missing."),
    "a-number-as-types": (
        {"output": 1, "validation_types": 1},
        "validation_types must be a list.",
    ),
    "a-text-as-criteria": (
        {"output": 1, "acceptance_criteria": "c"},
        "acceptance_criteria must be a list of strings.",
    ),
    "a-number-as-criterion": (
        {"output": 1, "acceptance_criteria": [1]},
        "acceptance_criteria must be a list of strings.",
    ),
    "too-many-criteria": (
        {"output": 1, "acceptance_criteria": ["c"] * (MAX_CRITERIA + 1)},
        f"acceptance_criteria must not have more than {MAX_CRITERIA} entries.",
    ),
    "too-deep": (
        {"output": json.loads("[" * (MAX_LEVELS + 1) + "]" * (MAX_LEVELS + 1))},
        f"output must not have more than {MAX_LEVELS} levels.",
    ),
}


@pytest.mark.parametrize(("fields", "message"), INVALID.values(), ids=INVALID.keys())
def test_a_request_that_breaks_the_protocol_gets_400(
    url: str, fields: dict[str, Any], message: str
) -> None:
    answer = requests.post(f"{url}/validate", json=fields, timeout=10)

    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_as_many_levels_as_allowed_are_judged(url: str) -> None:
    output = json.loads("[" * MAX_LEVELS + "]" * MAX_LEVELS)

    assert asked(url, output=output).status_code == 200
