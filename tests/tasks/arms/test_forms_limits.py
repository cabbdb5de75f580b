"""Numbers and lengths of results, within limits or not."""

from typing import Any

from tasks.arms.forms import CriterionVerdict, judge
from tests.tasks.arms.judging import MET, NOT_MET, UNDECIDED, rows


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
    ("at least 10", "1+1", UNDECIDED),
    ("at most 5", "+-5", UNDECIDED),
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
    ("The title must not be longer than 5 characters", {"title": "123456"}, NOT_MET),
    ("must not exceed 2 words", "one two", MET),
    ("must not be shorter than 3 words", "one two", NOT_MET),
    ("at most 5 characters", "12345", MET),
    ("at most 5 characters", "12345\n", UNDECIDED),
    ("at least 3 characters", "a\u200b\u200b", UNDECIDED),
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
