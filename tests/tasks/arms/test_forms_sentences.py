"""Sentences that no form covers."""

import time

import pytest

from tasks.arms.forms import Judged, judge, understands
from tests.tasks.arms.judging import GENEROUS_SECONDS, UNDECIDED


@pytest.mark.parametrize(
    "criterion",
    [
        "",
        ".",
        "The tone is friendly",
        "is between 1 and 5 and written politely",
        "politely written and between 1 and 5",
        "score must not be between 1 and 5",
        "if the client is new then score is at least 5",
        "score or rating is at least 5",
        "at least 50 %",
        "between 1 to 5",
        "from 1 and 5",
        "at least 5 seconds",
        "between 1,5 and 3",
        "at least 1.000",
        "at least 1.5 words",
        "at least -1 words and more",
        "at most 200 good words",
        "Valid JSON with comments",
        "not valid JSON",
        "contains 'a' and is short",
        "contains 'a' and 'b' or 'c'",
        "does not contain 'a' and 'b'",
        "contains 'open",
        "contains ''",
        "contains 'refund.'",
        "does not contain 'refund,' or 'price'",
        "contains numbers",
        "does not contain errors",
        "does not contain profanity",
        "mentions nothing",
        "contains the word count",
        "has a key message",
        "contains at least one example",
        "every item has no name",
        "every item has an id or a name",
        "every item has a name that is short",
        "starts with a greeting",
        "is one of open, closed",
        "is 'a' and 'b'",
        "is not 'a'",
        "The answer is true",
        "is true",
        "matches nothing",
        "not empty or null",
        "contains \0",
        "x" * 2001,
    ],
    ids=lambda criterion: f"sentence_{criterion[:60]!r}",
)
def test_another_sentence_is_not_understood(criterion: str) -> None:
    assert not understands(criterion)
    assert judge(criterion, criterion) == Judged(UNDECIDED, "No rule covers this sentence.")


@pytest.mark.parametrize(
    "criterion",
    [
        "between " * 250,
        " " * 2000,
        "a" * 2000,
        "a-" * 1000,
        "' " * 1000,
        "'a " * 660,
        "contains " + "'a' and " * 245,
        "has fields " + "field, " * 280,
        "at most " + "1,000" * 390,
        "field " * 330,
        "is " * 660,
    ],
    ids="between spaces letters hyphens quotes open phrases fields digits subject verbs".split(),
)
def test_a_long_sentence_is_refused_soon(criterion: str) -> None:
    started_at = time.monotonic()

    assert not understands(criterion)
    assert time.monotonic() - started_at < GENEROUS_SECONDS
