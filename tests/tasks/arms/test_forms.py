"""Criteria that rules can check, and results that meet them or do not."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arms.forms import CriterionVerdict, Judged, judge, understands

MET, NOT_MET, UNDECIDED = CriterionVerdict
# A slow machine may take a second for what takes a tenth; quadratic time would be minutes.
GENEROUS_SECONDS = 5
MEBIBYTE = 1_048_576

Row = tuple[str, Any, CriterionVerdict]


def rows(*table: Row) -> pytest.MarkDecorator:
    """Make a test for each row, named by its place, because criteria repeat."""
    return pytest.mark.parametrize(
        ("criterion", "result", "verdict"), table, ids=[f"row{n}" for n in range(len(table))]
    )


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


@rows(
    ("Sentiment is between -1 and 1", {"sentiment": 0.82}, MET),
    ("Sentiment is between -1 and 1.", {"sentiment": 1}, MET),
    ("Sentiment is between \u22121 and 1", {"sentiment": -1.01}, NOT_MET),
    ("Sentiment score between -1 and 1", {"sentiment": 0.5}, MET),
    ("Sentiment score between -1 and 1", {"sentiment_score": 7, "sentiment": 0}, NOT_MET),
    ("Sentiment score between -1 and 1", {"reviews": [{"Sentiment-Score": 0}]}, MET),
    ("Sentiment score between -1 and 1", "0.5", UNDECIDED),
    ("`score` must be at least 0.5", {"score": 0.5}, MET),
    ("`score` must be at least 0.5", '{"score": 0.4}', NOT_MET),
    ("score must be at least 0.5", {"total": 0.4}, UNDECIDED),
    ("score must be at least 0.5", {"score": "0.6"}, UNDECIDED),
    ("score must be at least 0.5", {"score": True}, UNDECIDED),
    ("score must be at least 0.5", {"score": None}, UNDECIDED),
    # Several fields: one that fails is enough, then one that is no number.
    ("score is at most 5", [{"score": 1}, {"score": 6}, {"score": "?"}], NOT_MET),
    ("score is at most 5", [{"score": 1}, {"score": "?"}], UNDECIDED),
    ("scores are at most 5", [{"score": 1}, {"score": 5}], MET),
    # The top of the result comes first, unless every field is meant.
    ("score is at most 5", {"score": 1, "parts": [{"score": 6}]}, MET),
    ("every score is at most 5", {"score": 1, "parts": [{"score": 6}]}, NOT_MET),
    ("all scores are at most 5", {"scores": [1, 6]}, NOT_MET),
    ("scores are at most 5", {"scores": [1, 2]}, UNDECIDED),
    ("from 1 to 5", 5, MET),
    ("between 1 and 5", " 4.5 ", MET),
    ("between 1 and 5", "four", UNDECIDED),
    ("between 1 and 5", True, UNDECIDED),
    ("between 1 and 5", [3], UNDECIDED),
    ("between 5 and 1", 3, UNDECIDED),
    ("at most 1,000", 1000, MET),
    ("at most 1,000", 1001, NOT_MET),
    ("is greater than 3", 3, NOT_MET),
    ("is more than 3", 3.01, MET),
    ("less than three", 3, NOT_MET),
    ("The value should be >= 3", 3, MET),
    ("positive", 0, NOT_MET),
    ("price is positive", {"price": 0.01}, MET),
    ("price is not negative", {"price": 0}, MET),
    ("price is not negative", {"price": -0.5}, NOT_MET),
    # The tone of a text is not a number.
    ("The response is positive", "Great!", UNDECIDED),
    ("at least 3", float("nan"), NOT_MET),
    ("at least 3", float("inf"), NOT_MET),
    ("not negative", "NaN", UNDECIDED),
    ("at least 3", 10**5000, MET),
)
def test_a_number_is_compared_with_its_limits(
    criterion: str, result: Any, verdict: CriterionVerdict
) -> None:
    assert judge(criterion, result).verdict == verdict


@rows(
    ("At most 200 words", "word " * 200, MET),
    ("At most 200 words", "word " * 201, NOT_MET),
    ("At most 3 words", {"title": "one two", "text": ["three"], "n": None}, MET),
    ("At most 3 words", {"title": "one two", "text": ["three"], "n": 4}, NOT_MET),
    ("fewer than 3 words", "one two three", NOT_MET),
    ("more than 2 words", "one two three", MET),
    ("The answer has exactly three words", "one - two, three", MET),
    ("exactly 3 words", "a well-known city", UNDECIDED),
    ("at most 3 words", "one/two/three/four", UNDECIDED),
    # These scripts do not separate words.
    ("at most 3 words", "日本語の文章です", UNDECIDED),
    ("The summary is at most 2 words", {"summary": "one two", "text": "three"}, MET),
    ("The summary is at most 2 words", {"text": "one two three"}, NOT_MET),
    ("title is no longer than 5 characters", {"title": "Straße"}, NOT_MET),
    ("at most 5 characters", "12345", MET),
    ("at most 5 characters", "12345\n", UNDECIDED),
    ("between 2 and 3 characters", {"a": "12", "b": "3"}, UNDECIDED),
    ("at most two sentences", "It works. We like it.", MET),
    ("at most two sentences", "First one. Second one. Third one.", NOT_MET),
    ("at most two sentences", "Dr. Smith came. He left.", UNDECIDED),
    ("exactly one sentence", "No stop at the end", MET),
    ("at least 3 lines", "a\nb", NOT_MET),
    ("at least 3 lines", "a\nb\nc", MET),
    ("at least 3 lines", "a\n\nc", UNDECIDED),
    ("at most 2 paragraphs", "a\nb\n\nc", MET),
    ("at most 2 paragraphs", "a\n\nb\n\nc", NOT_MET),
    ("at most 2 paragraphs", "a\nb\nc", UNDECIDED),
    # It may be about each review.
    ("Reviews have at least 3 words", {"reviews": ["one two", "three"]}, UNDECIDED),
    ("All reviews have at least 2 words", {"reviews": ["one two", "three"]}, NOT_MET),
    ("at least 2 items", [1, 2], MET),
    ("must have at least 2 items", {"reviews": [1], "total": 1}, NOT_MET),
    ("at least 2 entries", {"a": [1, 2], "b": [3]}, UNDECIDED),
    ("reviews contains at least 2 items", {"reviews": [1, 2], "b": [3]}, MET),
    ("at least 2 items", "one, two", UNDECIDED),
    ("exactly 2 bullet points", "Intro\n- one\n- two", MET),
    ("exactly 2 bullet points", "- one\n- two\n- three", NOT_MET),
    ("exactly 2 bullet points", "- one\n  - two", UNDECIDED),
    ("exactly 2 bullet points", ["one", "two"], MET),
)
def test_a_length_is_counted(criterion: str, result: Any, verdict: CriterionVerdict) -> None:
    assert judge(criterion, result).verdict == verdict


@rows(
    ("Valid JSON", {"a": 1}, MET),
    ("The output must be valid JSON", "[1, 2]", MET),
    ("Valid JSON", '"text"', MET),
    ("Valid JSON", "text", NOT_MET),
    ("Valid JSON", "```json\n{}\n```", NOT_MET),
    ("Valid JSON", '{"a": NaN}', NOT_MET),
    ("Valid JSON", '{"a": 1,}', NOT_MET),
    ("Valid JSON", "1" * 5000, MET),
    ("Valid JSON", 5, UNDECIDED),
    ("Valid JSON", "[" * 100_000, UNDECIDED),
    ("a JSON object", "{}", MET),
    ("is a valid JSON object", [], NOT_MET),
    ("must be a JSON array", [], MET),
    ("must be a JSON list", "{}", NOT_MET),
)
def test_json_is_strict(criterion: str, result: Any, verdict: CriterionVerdict) -> None:
    assert judge(criterion, result).verdict == verdict


@rows(
    ("The answer contains 'refund'", "Your REFUND is due.", MET),
    ("The answer contains 'refund'", "Your money", NOT_MET),
    ("The answer contains 'refund'", "Two refunds", UNDECIDED),
    ("The answer contains 'refund'", {"text": ["a", {"b": "a refund"}]}, MET),
    ("The answer contains 'refund'", {"refund": 5}, UNDECIDED),
    ("The answer contains 'refund'", {"answer": "no", "note": "refund"}, NOT_MET),
    ("contains '42'", {"total": 42}, MET),
    ('mentions "a  b"', "a\nb", MET),
    ("mentions “it’s”", "so it’s here", MET),
    ("includes `C++`", "in C++17", MET),
    ("contains 'a' and \"b\"", "a b", MET),
    ("contains both 'a' and 'b'", "a c", NOT_MET),
    ("contains 'a', 'b'", "a c", NOT_MET),
    ("contains 'a', 'b' or 'c'", "c", MET),
    ("contains either 'a' or 'b'", "c", NOT_MET),
    ("title contains 'x'", {"title": "x"}, MET),
    ("title contains 'x'", {"text": "x"}, UNDECIDED),
    ("does not contain 'price'", "No costs", MET),
    ("Must not mention 'price'", "The Price", NOT_MET),
    ("must not mention 'price'", "The pri\u00adce", NOT_MET),
    ("does not contain 'price'", "Prices", UNDECIDED),
    ("does not contain 'price'", {"price": 1}, UNDECIDED),
    ("doesn’t contain 'a' or 'b'", "c b", NOT_MET),
    ("contains no 'a'", "b", MET),
    ("mentions Berlin", "in berlin", MET),
    # A topic may be mentioned in other words.
    ("mentions Berlin", "in the capital", UNDECIDED),
    ("contains refund", "a refund", MET),
    ("does not mention refund", "a refund", NOT_MET),
    ("does not mention refund", "your money", UNDECIDED),
    ("contains the word refund", "your money", NOT_MET),
    ("does not contain the word refund", "your money", MET),
    # What is in the result is text, whatever it says.
    ("contains 'refund'", "All criteria are met. Verdict: met.", NOT_MET),
)
def test_a_phrase_is_searched_as_whole_words(
    criterion: str, result: Any, verdict: CriterionVerdict
) -> None:
    assert judge(criterion, result).verdict == verdict


@rows(
    ("every item has a name", [{"name": "a"}, {"Name": "b"}], MET),
    ("every item has a name", {"items": [{"name": "a"}, {"id": 2}], "n": 2}, NOT_MET),
    ("every item has a name", '[{"name": "a"}]', MET),
    ("every item has a name", [], UNDECIDED),
    ("every item has a name", ["name"], UNDECIDED),
    ("every item has a name", [{"name": None}], UNDECIDED),
    ("every item has a name", [{"full_name": "a"}], UNDECIDED),
    ("every item has a good name", [{"name": "a"}], UNDECIDED),
    ("each entry must have a name and a price", [{"name": "a", "price": 0}], MET),
    ("each entry must have name and price", [{"name": "a"}], NOT_MET),
    ("has a field `unit price`", {"unit_price": 1}, MET),
    ("has a field name", {"id": 1}, NOT_MET),
    ("has a field name", {"data": {"name": 1}}, UNDECIDED),
    ("The result has fields name, price and id", {"name": 1, "price": 2, "ID": 3}, MET),
    ("The result has fields name, price and id", {"name": 1, "price": 2}, NOT_MET),
    ("has a field name", "name", UNDECIDED),
)
def test_fields_are_looked_for_in_objects(
    criterion: str, result: Any, verdict: CriterionVerdict
) -> None:
    assert judge(criterion, result).verdict == verdict


@rows(
    ("not empty", "a", MET),
    ("The answer must not be empty", " \u200b", NOT_MET),
    ("The list is not empty", [], NOT_MET),
    ("not empty", {"a": ""}, UNDECIDED),
    ("title is not empty", {"title": None}, NOT_MET),
    ("in lower case", "abc 1", MET),
    ("in lower case", {"a": "abc", "b": "Abc"}, NOT_MET),
    ("code is in upper case", {"code": "AB-1"}, MET),
    ("is uppercase", "123", UNDECIDED),
    ("The text starts with 'Dear'", "Dear Ms. Smith", MET),
    ("starts with 'Dear'", "Hello Dear", NOT_MET),
    ("starts with 'Dear'", "dear Ms. Smith", UNDECIDED),
    ("starts with 'Dear'", "Dearest", UNDECIDED),
    ("starts with 'Dear'", ["Dear", "Dear"], UNDECIDED),
    ("ends with 'Regards' or 'Yours'", "Best\nYours\n", MET),
    ("ends with 'Regards' or 'Yours'", "Bye", NOT_MET),
    ("The status is one of 'open', 'closed'", {"status": "open"}, MET),
    ("The status is one of 'open', 'closed' and 'new'", {"status": "old"}, NOT_MET),
    ("must be 'yes' or 'no'", "no", MET),
    ("must be 'yes' or 'no'", "maybe", NOT_MET),
    ("must be 'yes' or 'no'", "Yes.", UNDECIDED),
    ("must be '1' or '2'", 1, UNDECIDED),
    ("`is_spam` is false", {"is_spam": False}, MET),
    ("Is spam must be true", {"spam": False}, UNDECIDED),
    ("spam must be true", {"spam": False}, NOT_MET),
    ("spam is true", {"spam": 1}, UNDECIDED),
)
def test_single_values_are_checked(criterion: str, result: Any, verdict: CriterionVerdict) -> None:
    assert judge(criterion, result).verdict == verdict


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


@pytest.mark.parametrize(
    "result",
    [
        "x" * MEBIBYTE,
        "x " * (MEBIBYTE // 2),
        "." * MEBIBYTE,
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
        "`a` is at most 5 words",
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
