"""The plans of the bundled arm."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tasks.arms.bundled.dividing import MAX_PARTS
from tasks.arms.bundled.planning import make_plan
from tasks.arms.bundled.request import PlanRequest, Unable
from tests.tasks.arms.serving import bundled_arm

GOAL = (
    "1. Find the sentiment of the reviews. 2. Find the sentiment of the comments. "
    "3. Then compare the results."
)
REVIEWS, COMMENTS, COMPARE = (
    "Find the sentiment of the reviews.",
    "Find the sentiment of the comments.",
    "Then compare the results.",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled_arm(tmp_path_factory.mktemp("arm")) as (url, _):
        yield url


def asked(url: str, **fields: Any) -> requests.Response:
    fields = {"goal": GOAL, "constraints": [], "context": {}, "request_id": "key-1"} | fields
    return requests.post(f"{url}/plan", json=fields, timeout=10)


def steps_of(goal: str, done: dict[int, str] | None = None) -> list[tuple[int, str, list[int]]]:
    """Return number, action and dependencies of each step."""
    return [
        (step["step_number"], step["action"], step["dependencies"])
        for step in make_plan(PlanRequest(goal, "key-1", done or {}))["steps"]
    ]


# Over the wire


def test_a_goal_with_numbered_parts_becomes_a_plan(url: str) -> None:
    answer = asked(url)

    plan = answer.json()
    assert answer.status_code == 200
    assert plan.pop("plan_id").startswith("plan-")
    assert plan == {
        "steps": [
            {
                "step_number": number,
                "action": action,
                "arm_id": "execute",
                "acceptance_criteria": [],
                "dependencies": dependencies,
                "estimated_duration_seconds": 1,
            }
            for number, action, dependencies in (
                (1, REVIEWS, []),
                (2, COMMENTS, []),
                (3, COMPARE, [1, 2]),
            )
        ],
        "confidence": 0.9,
        "provenance": {
            "arm_id": "bundled",
            "tokens_consumed": 0,
            "estimated_cost_usd": 0,
            "confidence": 0.9,
            "model_used": "rules",
        },
    }


def test_the_same_request_has_the_same_plan(url: str) -> None:
    assert len({asked(url).content for _ in range(3)}) == 1


def test_the_id_of_a_plan_depends_on_goal_and_request(url: str) -> None:
    # Half of a surrogate pair is valid JSON.
    answers = [asked(url), asked(url, request_id="key-2"), asked(url, goal="\ud800")]

    assert len({answer.json()["plan_id"] for answer in answers}) == 3


def test_a_new_plan_leaves_out_what_is_done(url: str) -> None:
    done = {"1": {"action": "find the  sentiment of the REVIEWS.", "result": {"sentiment": 0.5}}}
    planning = {"done": done, "failed": {"step": 2, "why": "The arm failed."}}

    steps = asked(url, context={"planning": planning}).json()["steps"]

    assert [(step["step_number"], step["action"], step["dependencies"]) for step in steps] == [
        (2, COMMENTS, []),
        (3, COMPARE, [1, 2]),
    ]


@pytest.mark.parametrize(
    "planning",
    [
        None,
        [],
        "done",
        {},
        {"failed": 1},
        {"done": []},
        {"done": {"1": REVIEWS}},
        {"done": {"1": {"action": 1}}},
        {"done": {"one": {"action": REVIEWS}}},
        {"done": {"9" * 5_000: {"action": REVIEWS}}},
    ],
)
def test_a_context_of_another_form_says_nothing_about_earlier_plans(
    url: str, planning: Any
) -> None:
    assert len(asked(url, context={"planning": planning}).json()["steps"]) == 3


def test_too_many_parts_are_a_definite_error(url: str) -> None:
    answer = asked(url, goal=" ".join(f"{number}. Do it." for number in range(1, MAX_PARTS + 2)))

    assert answer.status_code == 422
    assert answer.json() == {
        "error_code": "NOT_SUPPORTED",
        "category": "validation",
        "message": f"The goal has too many parts; this arm plans for {MAX_PARTS} at most.",
        "retryable": False,
        "retry_after_seconds": None,
        "details": {},
    }


INVALID = {
    "no-json": (b"{", "The body must be valid JSON."),
    "a-list": (b"[]", "The body must be an object."),
    "no-goal": (b"{}", "goal must be a string that is not blank."),
    "a-blank-goal": (b'{"goal": " \\n"}', "goal must be a string that is not blank."),
    "a-number-as-goal": (b'{"goal": 1}', "goal must be a string that is not blank."),
    "a-text-as-context": (b'{"goal": "g", "context": "c"}', "context must be an object."),
}


@pytest.mark.parametrize(("body", "message"), INVALID.values(), ids=INVALID.keys())
def test_a_request_that_breaks_the_protocol_gets_400(url: str, body: bytes, message: str) -> None:
    answer = requests.post(f"{url}/plan", data=body, timeout=10)

    assert (answer.status_code, answer.json()["message"]) == (400, message)


# Parts

PARTS = {
    "one": ("Write a poem", ["Write a poem"]),
    "lines": ("1. Do A.\n2. Do B\n   and C.\n", ["Do A.", "Do B and C."]),
    "brackets": ("1) Do A 2) Do B", ["Do A", "Do B"]),
    "both-brackets": ("(1) Do A, and (2) Do B", ["Do A", "Do B"]),
    "letters": ("a) Do A; b) Do B", ["Do A", "Do B"]),
    "words": ("First, do A. Second, do B.", ["do A.", "do B."]),
    "after-an-introduction": ("Please do this: 1. Do A. 2. Do B.", ["Do A.", "Do B."]),
    # These need the introduction.
    "completed": (
        "Find the sentiment of: 1. reviews 2. comments 3. compare both",
        ["Find the sentiment of: reviews", "Find the sentiment of: comments", "compare both"],
    ),
    "after-a-long-introduction": (
        f"Find the sentiment of {'very ' * 60}long texts: 1. reviews 2. comments",
        ["reviews", "comments"],
    ),
    "then": ("Do A, then do B. Then do C", ["Do A", "then do B.", "Then do C"]),
    "and-then": ("Do A and then do B", ["Do A", "then do B"]),
    "then-in-a-line": ("Do A\nThen do B", ["Do A", "Then do B"]),
    "then-after-numbers": ("1. Do A. 2. Do B. Then do C.", ["Do A.", "Do B.", "Then do C."]),
    "finally": ("Do A. Finally, do B", ["Do A.", "Finally, do B"]),
    # These are no parts.
    "then-in-a-sentence": ("Do what was then usual", ["Do what was then usual"]),
    "one-number": ("Read version 1. It is short.", ["Read version 1. It is short."]),
    "numbers-in-a-sentence": ("Use versions 1. and 2. only", ["Use versions 1. and 2. only"]),
    "another-order": ("2. Do A. 1. Do B.", ["2. Do A. 1. Do B."]),
    "decimals": ("Do 1.5 and 2.5", ["Do 1.5 and 2.5"]),
    "empty-parts": ("1. 2. 3.", ["1. 2. 3."]),
    "nothing": (",", [","]),
}


@pytest.mark.parametrize(("goal", "actions"), PARTS.values(), ids=PARTS.keys())
def test_a_goal_is_divided_by_its_numbers_and_words(goal: str, actions: list[str]) -> None:
    assert [action for _, action, _ in steps_of(goal)] == actions


DEPENDENCIES = {
    "none": ("1. Do A. 2. Do B. 3. Do C.", [[], [], []]),
    "then": ("1. Do A. 2. Do B. 3. Then do C.", [[], [], [2]]),
    "a-chain": ("Do A, then do B, then do C", [[], [1], [2]]),
    "then-at-first": ("1. Then do A. 2. Do B.", [[], []]),
    "finally": ("1. Do A. 2. Do B. 3. Finally do C.", [[], [], [1, 2]]),
    "the-results": ("1. Do A. 2. Do B. 3. Send the results.", [[], [], [1, 2]]),
    "both": ("1. Do A. 2. Do B. 3. Send both.", [[], [], [1, 2]]),
    "a-comparison": ("1. Do A. 2. Do B. 3. Say which is better.", [[], [], [1, 2]]),
    "a-step": ("1. Do A. 2. Do B. 3. Send the results of step 1.", [[], [], [1]]),
    "steps": ("1. Do A. 2. Do B. 3. Do C. 4. Add steps 1 and 3.", [[], [], [], [1, 3]]),
    "then-with-a-step": ("1. Do A. 2. Do B. 3. Then add step 1.", [[], [], [1, 2]]),
    # A step cannot depend on itself, a later one or one that is not there.
    "other-steps": ("1. Do A. 2. Add steps 2, 3, and 9. 3. Do C.", [[], [], []]),
    # The second step of the client became steps 2 and 3.
    "a-divided-step": ("1. Do A. 2. Do B, then do C. 3. Add step 2.", [[], [], [2], [2, 3]]),
}


@pytest.mark.parametrize(("goal", "dependencies"), DEPENDENCIES.values(), ids=DEPENDENCIES.keys())
def test_words_of_order_become_dependencies(goal: str, dependencies: list[list[int]]) -> None:
    assert [found for _, _, found in steps_of(goal)] == dependencies


def test_a_goal_of_one_part_has_less_confidence() -> None:
    assert make_plan(PlanRequest("Write a poem"))["confidence"] == 0.6


def test_as_many_parts_as_allowed_become_steps() -> None:
    goal = " ".join(f"{number}. Do it." for number in range(1, MAX_PARTS + 1))

    assert len(steps_of(goal)) == MAX_PARTS


@pytest.mark.parametrize(
    "goal",
    [
        "Do it" + ", then do it" * MAX_PARTS,
        "1. Do it. 2. Do it" + ", then do it" * (MAX_PARTS - 1),
    ],
    ids=["then", "numbers-and-then"],
)
def test_parts_by_words_are_bounded_too(goal: str) -> None:
    with pytest.raises(Unable, match="too many parts"):
        steps_of(goal)


# Plans after a failure


def test_of_two_equal_parts_one_may_be_done() -> None:
    assert steps_of("1. Do A. 2. Do A. 3. Then do B.", {4: "do a."}) == [
        (5, "Do A.", []),
        (6, "Then do B.", [5]),
    ]


def test_dependencies_name_the_step_that_is_done() -> None:
    assert steps_of(GOAL, {2: COMMENTS, 7: REVIEWS}) == [(8, COMPARE, [2, 7])]


def test_numbers_begin_after_all_that_is_done() -> None:
    assert steps_of("Do A", {3: "Do something else"}) == [(4, "Do A", [])]


def test_without_anything_left_to_do_there_is_no_plan() -> None:
    with pytest.raises(Unable, match="All parts of the goal have been carried out"):
        steps_of("1. Do A. 2. Do B.", {1: "Do A.", 2: "Do B."})


# Hostile goals

HOSTILE = {
    "numbers": "1. ",
    "numbers-in-brackets": "(1) ",
    "digits": "1",
    "letters": "a) ",
    "ordinals": "first, ",
    "then": "then ",
    "then-after-commas": ", then x",
    "steps": "step 1, ",
    "commas": ", and ",
    "verbs": "find ",
    "questions": "which is ",
    "summaries": "summary of the ",
    "lines": ". x\n",
    "blank-lines": " \n",
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_goal_of_any_length_takes_little_time(words: str) -> None:
    goal = "1. Find it. 2. " + words * (1_000_000 // len(words))
    began = time.process_time()

    with contextlib.suppress(Unable):
        steps_of(goal)

    assert time.process_time() - began < 2
