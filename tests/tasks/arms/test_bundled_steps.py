"""What the bundled arm does in a step of a plan: texts of some fields, and comparisons."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tasks.arms.bundled.sentiment import asks_for_sentiment
from tasks.arms.bundled.texts import fields_named
from tests.tasks.arms.serving import bundled_arm

REVIEWS = ["I love this phone, the battery lasts for days.", "The parcel came on Monday."]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled_arm(tmp_path_factory.mktemp("arm")) as (url, _):
        yield url


def answer_to(url: str, **contract: Any) -> dict[str, Any]:
    fields = {"task_contract": {"task_id": "task-1"} | contract}
    answer: dict[str, Any] = requests.post(f"{url}/execute", json=fields, timeout=10).json()
    return answer


def result_of(url: str, **contract: Any) -> dict[str, Any]:
    answer = answer_to(url, **contract)
    assert (answer["success"], answer["error"]) == (True, None)
    result: dict[str, Any] = answer["result"]
    return result


def error_about(url: str, **contract: Any) -> str:
    answer = answer_to(url, **{"goal": "Find the sentiment"} | contract)
    assert (answer["success"], answer["result"]) == (False, None)
    assert (answer["error"]["error_code"], answer["error"]["retryable"]) == ("NOT_SUPPORTED", False)
    message: str = answer["error"]["message"]
    return message


# Texts

FIELDS: dict[str, Any] = {
    "reviews": ["Good."],
    "old_reviews": ["Bad."],
    "user-comments": [{"text": "Fine."}],
    "user": "user 1",
}
EVERY = ["reviews[0]", "old_reviews[0]", "user-comments[0].text"]


@pytest.mark.parametrize(
    ("goal", "paths"),
    [
        ("Find the sentiment of the reviews", ["reviews[0]"]),
        ("Find the sentiment of each REVIEW", ["reviews[0]"]),
        # The longer name takes the words.
        ("Find the sentiment of the old reviews", ["old_reviews[0]"]),
        ("Find the sentiment of `old_reviews` and the reviews", ["reviews[0]", "old_reviews[0]"]),
        ("Find the sentiment of the user comment", ["user-comments[0].text"]),
        # An id holds no texts, so its name does not count.
        ("Find the sentiment of this user", EVERY),
        ("Find the sentiment", EVERY),
    ],
)
def test_a_goal_may_name_the_fields_that_count(url: str, goal: str, paths: list[str]) -> None:
    result = result_of(url, goal=goal, context=FIELDS)

    assert [text["path"] for text in result["texts"]] == paths


def test_a_field_that_the_goal_names_is_never_replaced_by_another(url: str) -> None:
    context = {"comments": [], "reviews": REVIEWS}

    message = error_about(url, goal="Find the sentiment of the comments", context=context)

    assert message.startswith("There is no text in the context, or in the fields")


@pytest.mark.parametrize("name", ["planning", "repair", "results", "task_goal"])
def test_what_the_orchestrator_adds_to_the_context_is_no_text(url: str, name: str) -> None:
    context = {name: {"text": "I love this very much."}}

    assert "There is no text" in error_about(url, context=context)


def test_a_context_with_many_names_and_a_long_goal_take_little_time() -> None:
    context = {f"a_{number}": [] for number in range(50_000)}
    began = time.process_time()

    assert list(fields_named("a " * 300_000 + "a 7", context)) == ["a_7"]
    assert time.process_time() - began < 3


@pytest.mark.parametrize("words", ["find ", "sentiments ", "what? ", "1"])
def test_a_goal_of_any_length_takes_little_time(words: str) -> None:
    began = time.process_time()

    assert not asks_for_sentiment(words * (1_000_000 // len(words)))
    assert time.process_time() - began < 1


# Comparisons


def test_results_of_earlier_steps_are_compared(url: str) -> None:
    results = {
        "2": {"sentiment": -0.5, "texts": []},
        "10": {"sentiment": 1},
        "3": {"sentiment": 0.25},
        "4": {"words": 3},
        "5": {"sentiment": True},
        "6": {"sentiment": 7},
        "7": "no object",
        "x": {"sentiment": 0.9},
    }

    result = result_of(url, goal="Then compare the results.", context={"results": results})

    assert result == {
        "sentiment": 0.25,
        "most_positive": {"step": 10, "sentiment": 1},
        "most_negative": {"step": 2, "sentiment": -0.5},
        "steps": 3,
    }


@pytest.mark.parametrize(
    "goal",
    [
        "Compare both",
        "summarise",
        "Finally, SUMMARIZE all results",
        "Combine steps 1 and 2",
        "Say which is better",
        "Tell me which of them is the most negative",
        "Write a summary of the results",
        # It asks for texts, too, but there are results.
        "Compare the results and tell which sentiment is higher",
    ],
)
def test_a_goal_asks_for_a_comparison_in_many_ways(url: str, goal: str) -> None:
    context = {"results": {"1": {"sentiment": 0.5}, "2": {"sentiment": -0.5}}, "reviews": REVIEWS}

    assert result_of(url, goal=goal, context=context)["steps"] == 2


@pytest.mark.parametrize("results", [None, [], {}, {"1": {"words": 3}}, {"1": {"sentiment": "x"}}])
def test_without_results_there_is_nothing_to_compare(url: str, results: Any) -> None:
    message = error_about(url, goal="Compare the results", context={"results": results})

    assert message.startswith("There are no results to compare")
