"""Results that have what a criterion asks for, or do not."""

from typing import Any

from tasks.arms.forms import CriterionVerdict, judge
from tests.tasks.arms.judging import MET, NOT_MET, UNDECIDED, rows


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
    ("does not contain '18446744073709551616'", 2**64, NOT_MET),
    # The vowel after the letter is a mark.
    ("contains 'क'", "कि", UNDECIDED),
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
    ("must not mention 'price'", "The pri\u200ece", NOT_MET),
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
    ("every item has a name", [{"name": " "}], UNDECIDED),
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
    ("not empty", {"a": " ", "b": None}, UNDECIDED),
    ("title is not empty", {"title": None}, NOT_MET),
    ("in lower case", "abc 1", MET),
    ("in lower case", {"a": "abc", "b": "Abc"}, NOT_MET),
    ("code is in upper case", {"code": "AB-1"}, MET),
    ("is uppercase", "123", UNDECIDED),
    ("The text starts with 'Dear'", "Dear Ms. Smith", MET),
    ("starts with 'Dear'", "Hello Dear", NOT_MET),
    ("starts with 'Dear'", "dear Ms. Smith", UNDECIDED),
    ("starts with 'Dear'", "Dearest", UNDECIDED),
    ("starts with 'e'", "e\u0301t\u00e9", NOT_MET),
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
