"""Repairs by the bundled arm, and a task from its plan to the repaired result."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tasks.arms.bundled.repair import MAX_DETAILS, repaired
from tasks.arms.bundled.request import MAX_LEVELS, Repair
from tasks.arms.forms import CriterionVerdict, judge
from tests.tasks.arms.serving import bundled_arm

TEXTS = [
    {"path": "reviews[0]", "sentiment": 0.6369},
    {"path": "reviews[1]", "sentiment": -0.6705},
]
FOUND = {"sentiment": -0.0168, "texts": TEXTS, "positive": 1, "neutral": 0, "negative": 1}
COMPARED = {
    "sentiment": 0.1234,
    "most_positive": {"step": 1, "sentiment": 0.6369},
    "most_negative": {"step": 2, "sentiment": -0.3901},
    "steps": 2,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled_arm(tmp_path_factory.mktemp("arm")) as (url, _):
        yield url


def executed(url: str, goal: str, context: dict[str, Any], criteria: list[str]) -> dict[str, Any]:
    contract = {"task_id": "task-1", "goal": goal, "context": context}
    body = {"task_contract": contract | {"acceptance_criteria": criteria}}
    answer: dict[str, Any] = requests.post(f"{url}/execute", json=body, timeout=10).json()
    return answer


def without(result: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in names}


REPAIRS = {
    "the-largest-detail": (FOUND, "At most 4 words", without(FOUND, "texts")),
    "the-longer-of-two": (COMPARED, "At most 5 words", without(COMPARED, "most_negative")),
    # The rules see no fault, whatever another judge said.
    "nothing": (COMPARED, "At most 6 words", COMPARED),
    "two-details": (
        COMPARED,
        "At most 3 words",
        without(COMPARED, "most_negative", "most_positive"),
    ),
    "all-details": (FOUND, "At most 1 word", {"sentiment": -0.0168}),
}
BEYOND_REPAIR = {
    "a-missing-field": (FOUND, ["Has a field `language`"]),
    "no-such-form": (FOUND, ["It is kind to all"]),
    "too-few-words": (FOUND, ["At least 100 words"]),
    "the-sentiment": (FOUND, ["At most 0 words"]),
    "one-of-two": (FOUND, ["At most 4 words", "Has a field `language`"]),
    "a-text": ("A long text.", ["At most 2 words"]),
    "a-list": ([1, 2, 3], ["At most 2 words"]),
    # Neither rounding nor leaving out makes a number smaller.
    "a-number": (FOUND | {"sentiment": 0.5004}, ["Sentiment is at most 0.5"]),
    "another-number": (FOUND, ["`negative` is at most 0"]),
    "without-a-sentiment": (without(FOUND, "sentiment"), ["At most 2 words"]),
    "many-details": (FOUND | {str(n): n for n in range(MAX_DETAILS)}, ["At most 2 words"]),
}


@pytest.mark.parametrize(("result", "criterion", "expected"), REPAIRS.values(), ids=REPAIRS.keys())
def test_details_are_left_out_until_the_criterion_is_met(
    result: Any, criterion: str, expected: Any
) -> None:
    assert repaired(Repair(result, [criterion]), []) == expected


@pytest.mark.parametrize(("result", "criteria"), BEYOND_REPAIR.values(), ids=BEYOND_REPAIR.keys())
def test_if_nothing_helps_the_result_stays_as_it_is(result: Any, criteria: list[str]) -> None:
    assert repaired(Repair(result, criteria), []) == result


def test_a_criterion_that_was_met_stays_met() -> None:
    criteria = ["At most 5 words", "Has a field `most_negative`", "Sentiment is at most 1"]

    result = repaired(Repair(COMPARED, criteria[:1]), criteria)

    assert result == without(COMPARED, "most_positive")
    assert all(judge(text, result).verdict is CriterionVerdict.MET for text in criteria)


# Over the wire


def test_a_task_is_planned_carried_out_judged_and_repaired(url: str) -> None:
    """The example of docs/arms.md, with the orchestrator's part done by the test."""
    goal = (
        "1. Find the sentiment of the reviews. 2. Find the sentiment of the comments. "
        "3. Then compare the results."
    )
    context = {
        "reviews": ["I love this phone, the battery lasts for days.", "It is a great phone."],
        "comments": ["Terrible. It broke after two days and support ignored me."],
    }
    criteria = ["Sentiment is between -1 and 1", "At most 5 words"]
    plan = requests.post(f"{url}/plan", json={"goal": goal, "context": context}, timeout=10)
    results: dict[str, Any] = {}
    for step in plan.json()["steps"]:
        needed = {str(number): results[str(number)] for number in step["dependencies"]}
        own = context | {"task_goal": goal, "results": needed}
        answer = executed(url, step["action"], own, [])
        results[str(step["step_number"])] = answer["result"]

    assert [results[number]["sentiment"] for number in ("1", "2")] == [0.6309, -0.6705]
    assert results["3"] == {
        "sentiment": -0.0198,
        "most_positive": {"step": 1, "sentiment": 0.6309},
        "most_negative": {"step": 2, "sentiment": -0.6705},
        "steps": 2,
    }
    judged = validated(url, results["3"], criteria)
    assert (judged["passed_criteria"], judged["failed_criteria"]) == (criteria[:1], criteria[1:])

    failed = [
        {"criterion": issue["location"], "why": issue["message"]} for issue in judged["issues"]
    ]
    own = context | {"task_goal": goal, "repair": {"result": results["3"], "failed": failed}}
    result = executed(url, plan.json()["steps"][2]["action"], own, criteria)["result"]

    assert result == without(results["3"], "most_negative")
    assert validated(url, result, criteria)["valid"] is True


def validated(url: str, output: Any, criteria: list[str]) -> dict[str, Any]:
    fields = {"output": output, "acceptance_criteria": criteria}
    answer: dict[str, Any] = requests.post(f"{url}/validate", json=fields, timeout=10).json()
    return answer


def test_guidance_is_not_followed(url: str) -> None:
    repair = {"result": FOUND, "failed": [{"criterion": "At most 4 words"}], "guidance": "Try."}

    answer = executed(url, "Find the sentiment", {"repair": repair}, [])

    assert answer["result"] == without(FOUND, "texts")


def test_a_result_of_another_goal_is_not_repaired(url: str) -> None:
    repair = {"result": FOUND, "failed": [{"criterion": "At most 4 words"}]}

    answer = executed(url, "Write a poem", {"repair": repair}, [])

    assert answer["error"]["error_code"] == "NOT_SUPPORTED"


DEEP: Any = None
for _ in range(MAX_LEVELS + 1):
    DEEP = [DEEP]
OTHER_FORMS: dict[str, Any] = {
    "a-text": "We repair phones.",
    "no-result": {"failed": []},
    "no-criteria": {"result": FOUND},
    "a-text-as-criteria": {"result": FOUND, "failed": "At most 4 words"},
    "a-text-as-criterion": {"result": FOUND, "failed": ["At most 4 words"]},
    "a-number-as-criterion": {"result": FOUND, "failed": [{"criterion": 4}]},
    "too-deep": {"result": DEEP, "failed": []},
}


@pytest.mark.parametrize("repair", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_a_context_with_another_repair_is_a_task_as_any(url: str, repair: Any) -> None:
    context = {"reviews": ["I love it."], "repair": repair}

    assert executed(url, "Find the sentiment", context, [])["result"]["positive"] == 1


def test_criteria_of_another_form_get_400(url: str) -> None:
    contract = {"task_id": "task-1", "goal": "Find", "acceptance_criteria": [1]}
    answer = requests.post(f"{url}/execute", json={"task_contract": contract}, timeout=10)

    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "task_contract.acceptance_criteria must be a list of strings."
    )
