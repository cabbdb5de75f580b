"""Evidence, and verdicts on any result, however large."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arms.forms import judge, understands
from tests.tasks.arms.judging import GENEROUS_SECONDS, UNDECIDED

MEBIBYTE = 1_048_576


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


@pytest.mark.parametrize(
    ("criterion", "result", "evidence"),
    [
        ("between -1 and 1", 0.82, "0.82 is between -1 and 1."),
        ("at most 200 words", "a " * 231, "There are 231 words, 31 too many."),
        ("at least 3 items", [1], "There is 1 item, 2 too few."),
        ("more than 3 entries", [1, 2], "There are 2 entries, 2 too few."),
        ("at most 9 words", "a", "The number of words is 1, which is at most 9."),
        (
            "score is positive",
            [{"score": 1}, {"score": 0}],
            'Field "score", 2 of 2: 0 is not more than 0.',
        ),
        ("size is positive", {}, 'There is no field "size".'),
        ("every item has a name", [{"name": 1}, {}], 'Item 2 has no field "name".'),
        ("contains 'a'", "b", 'It does not contain "a".'),
        ("is 'a'", "b\x00\x1b[31m\n" + "c" * 90, f'It is "b\ufffd\ufffd[31m {"c" * 31}…".'),
    ],
    ids="range many few open met several unknown field phrase hostile".split(),
)
def test_the_evidence_is_a_plain_sentence(criterion: str, result: Any, evidence: str) -> None:
    assert judge(criterion, result).evidence == evidence


def test_the_evidence_quotes_80_characters_at_most() -> None:
    name, value = "n" * 150, "v" * 5000

    evidence = judge(f"`{name}` is 'a'", {name: value}).evidence

    assert evidence.count("n") + evidence.count("v") + evidence.count("…") <= 80
    assert evidence.startswith('Field "nnn')
    assert '"vvv' in evidence


@pytest.mark.parametrize(
    "result",
    [
        "x" * MEBIBYTE,
        "x " * (MEBIBYTE // 2),
        "." * MEBIBYTE + "x",
        ".)" * (MEBIBYTE // 2),
        " " * MEBIBYTE,
        "[" * MEBIBYTE,
        "- \n" * (MEBIBYTE // 3),
        "a" + "\u0301\u0316" * (MEBIBYTE // 4),
        [{"a": 1}] * 100_000,
        nested(100, "x " * (MEBIBYTE // 2)),
        nested(1_000, "x " * (MEBIBYTE // 2)),
    ],
    ids="letters words stops closed spaces brackets bullets accents objects deep deeper".split(),
)
def test_a_large_result_takes_no_more_than_linear_time(result: Any) -> None:
    criteria = [
        "every `a` is at most 5 words",
        "at most 5 words",
        "at most 5 sentences",
        "at most 5 paragraphs",
        "at most 5 bullet points",
        "at most 5 characters",
        "contains '" + "x" * 150 + "'",
        "does not contain 'x x'",
        "valid JSON",
        "every item has a b",
        "in lower case",
        "ends with 'x'",
        "not empty",
    ]
    for criterion in criteria:
        started_at = time.monotonic()
        assert understands(criterion)
        judge(criterion, result)
        assert time.monotonic() - started_at < GENEROUS_SECONDS, criterion


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("a b"), inner),
    max_leaves=15,
)
PIECES = st.lists(
    st.sampled_from(
        "the answer every item score `a` is are must be not at most between 1 -1 and , 5 words "
        "items has contains no a name 'x' or \"\" starts with ends one of valid json object lower "
        "case true positive empty field fields named ‘ ’ does".split()
    )
    | st.text(max_size=5),
    max_size=9,
).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(criterion=st.text() | PIECES, result=JSON)
def test_any_sentence_and_any_result_have_a_verdict(criterion: str, result: Any) -> None:
    judged = judge(criterion, result)

    assert 0 < len(judged.evidence) < 250
    judged.evidence.encode()
    assert understands(criterion) or judged.verdict == UNDECIDED
