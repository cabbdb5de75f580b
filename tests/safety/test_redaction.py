"""The fields after findings are replaced, and places mapped back to the original."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.document import Document, Place
from safety.redaction import MAX_WIDENING_CHARACTERS, Redaction, widened
from tests.safety.reflex_client.json_values import FIELDS

LABELS = ("[EMAIL]", "[PII]", "[CREDITCARD]")


def redacted(fields: dict[str, Any], *found: tuple[int, int, int, str]) -> dict[str, Any]:
    """Return `fields` with replaced parts: piece number, start, end and label of each."""
    places = ((Place(piece, start, end), label) for piece, start, end, label in found)
    return fields_of(Redaction(Document(fields)).extended(places))


def fields_of(redaction: Redaction) -> dict[str, Any]:
    return dict(redaction.document.fields)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([(2, 5, "A")], "01[A]56789", id="one"),
        pytest.param([(0, 10, "A")], "[A]", id="whole"),
        pytest.param([(0, 1, "A"), (9, 10, "B")], "[A]12345678[B]", id="first-and-last"),
        pytest.param([(2, 4, "A"), (4, 6, "B")], "01[A][B]6789", id="adjacent"),
        pytest.param([(2, 5, "A"), (4, 7, "B")], "01[A]789", id="overlapping"),
        pytest.param([(4, 7, "B"), (2, 5, "A")], "01[A]789", id="in-any-order"),
        pytest.param([(2, 8, "A"), (4, 6, "B")], "01[A]89", id="nested"),
        pytest.param([(4, 6, "B"), (2, 8, "A"), (7, 9, "C")], "01[A]9", id="nested-and-more"),
        pytest.param([(2, 4, "B"), (2, 8, "A")], "01[A]89", id="the-longer-of-one-start"),
        pytest.param([(2, 5, "A"), (2, 5, "B")], "01[A]56789", id="twice"),
        pytest.param([(0, 3, "A"), (2, 6, "B"), (5, 9, "C")], "[A]9", id="chain"),
    ],
)
def test_places_of_a_text_are_replaced(found: list[tuple[int, int, str]], expected: str) -> None:
    places = [(0, start, end, f"[{label}]") for start, end, label in found]

    assert redacted({"goal": "0123456789"}, *places) == {"goal": expected}


def test_places_count_characters_not_bytes() -> None:
    assert redacted({"goal": "é😀 a@b €"}, (0, 3, 6, "[EMAIL]")) == {"goal": "é😀 [EMAIL] €"}


@pytest.mark.parametrize(
    ("start", "end"), [(0, 16), (0, 1), (15, 16), (4, 8)], ids=["whole", "first", "last", "middle"]
)
@pytest.mark.parametrize("number", [4111111111111111, 4111111111111111.0], ids=["integer", "float"])
def test_a_number_is_replaced_as_a_whole(number: float, start: int, end: int) -> None:
    fields = {"context": {"card": number, "n": 4111111111111111}}

    assert redacted(fields, (1, start, end, "[CREDITCARD]")) == {
        "context": {"card": "[CREDITCARD]", "n": 4111111111111111}
    }


def test_two_findings_in_a_number_leave_one_label() -> None:
    found = [(0, 2, 5, "[A]"), (0, 12, 14, "[B]")]

    assert redacted({"n": 4111111111111111}, *found) == {"n": "[A]"}


def test_values_at_any_depth_are_replaced() -> None:
    fields = {
        "goal": "ask a@b",
        "constraints": ["one", "a@b two"],
        "context": {"a@b": {"list": [True, None, [{"deep": "to a@b"}], 7, "a@b"]}},
    }
    document = Document(fields)
    places = [
        (Place(number, at, at + 3), "[EMAIL]")
        for number, piece in enumerate(document.pieces)
        if not piece.is_key and (at := piece.text.find("a@b")) >= 0
    ]

    assert fields_of(Redaction(document).extended(places)) == {
        "goal": "ask [EMAIL]",
        "constraints": ["one", "[EMAIL] two"],
        "context": {"a@b": {"list": [True, None, [{"deep": "to [EMAIL]"}], 7, "[EMAIL]"]}},
    }


def test_thousands_of_places_are_replaced() -> None:
    found = [(0, at, at + 3, "[EMAIL]") for at in range(0, 40_000, 4)]

    assert redacted({"goal": "a@b " * 10_000}, *found) == {"goal": "[EMAIL] " * 10_000}


def test_the_original_document_does_not_change() -> None:
    fields = {"goal": "a@b", "context": {"list": [1, {"k": "a@b"}]}}
    before = copy.deepcopy(fields)

    redacted(fields, (0, 0, 3, "[EMAIL]"), (4, 0, 3, "[EMAIL]"))

    assert fields == before


def test_a_value_that_is_not_json_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not a JSON value: set"):
        Document({"goal": set()}).with_texts({})


@given(FIELDS)
@settings(deadline=None)
def test_without_places_nothing_changes(fields: Any) -> None:
    after = dict(Document(fields).with_texts({}).fields)

    assert (after, repr(after)) == (fields, repr(fields))


# Places in the original


def in_original(text: str, *cuts: tuple[int, int], found: str) -> str | None:
    """Return the original text for `found` in the redacted text, whose labels are `###`."""
    redaction = Redaction(Document({"goal": text}))
    redaction = redaction.extended((Place(0, start, end), "###") for start, end in cuts)
    start = redaction.document.fields["goal"].index(found)
    place = redaction.original_place(Place(0, start, start + len(found)))
    return place and text[place.start : place.end]


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        pytest.param("01", "01", id="before"),
        pytest.param("67", "67", id="between"),
        pytest.param("9", "9", id="after"),
        pytest.param("1##", "12345", id="into-a-label"),
        pytest.param("1###6", "123456", id="over-a-label"),
        pytest.param("#6", "23456", id="out-of-a-label"),
        pytest.param("#67#", "2345678", id="from-label-to-label"),
        pytest.param("###67###", "2345678", id="over-both"),
        pytest.param("01###67###9", "0123456789", id="all"),
        pytest.param("###", None, id="a-label"),
        pytest.param("#", None, id="in-a-label"),
    ],
)
def test_a_later_finding_is_mapped_to_the_original(found: str, meant: str | None) -> None:
    assert in_original("0123456789", (2, 6), (8, 9), found=found) == meant


def test_a_finding_over_two_adjacent_labels_covers_both() -> None:
    assert in_original("0123456789", (2, 4), (4, 6), found="######") == "2345"


def test_a_place_in_a_piece_without_labels_stays_the_same() -> None:
    redaction = Redaction(Document({"goal": "a", "constraints": ["b"]}))
    redaction = redaction.extended([(Place(0, 0, 1), "[EMAIL]")])

    assert redaction.original_place(Place(1, 0, 1)) == Place(1, 0, 1)


def test_a_redaction_is_extended_at_places_of_the_original() -> None:
    redaction = Redaction(Document({"goal": "0123456789", "constraints": ["ab"]}))
    redaction = redaction.extended([(Place(0, 2, 4), "[A]"), (Place(1, 0, 1), "[C]")])
    redaction = redaction.extended([(Place(0, 3, 6), "[B]"), (Place(0, 8, 9), "[D]")])

    assert fields_of(redaction) == {"goal": "01[A]67[D]9", "constraints": ["[C]b"]}


def test_fixed_fields_stay_fixed() -> None:
    document = Document({"goal": "a@b"}, fixed={"budget": {"max_tokens": 7}})
    after = Redaction(document).extended([(Place(0, 0, 3), "[EMAIL]")]).document

    assert after.text == "[EMAIL]\nmax_tokens: 7\n"
    assert [piece.is_replaceable for piece in after.pieces] == [True, False, False]


# The rest of a token


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        pytest.param("write to a@b.org soon", "a@b.org", "a@b.org", id="whole"),
        pytest.param("mary.o'jane@x.org", "jane@x.org", "mary.o'jane@x.org", id="before"),
        pytest.param("hunter2,restOfIt77 x", "hunter2", "hunter2,restOfIt77", id="after"),
        pytest.param("say (a@b.org), please", "a@b.org", "a@b.org", id="punctuation"),
        pytest.param("<a@b.org>...", "a@b.org", "a@b.org", id="marks-only"),
        pytest.param("\tx=a@b.org\n", "a@b.org", "x=a@b.org", id="any-blank"),
        pytest.param("x\u3000a@b.org\u2003y", "a@b.org", "a@b.org", id="any-unicode-blank"),
        pytest.param("ü.a@b.orgé", "a@b.org", "ü.a@b.orgé", id="letters-with-accents"),
        pytest.param("Иван.a@b.org", "a@b.org", "Иван.a@b.org", id="cyrillic"),
        pytest.param("이메일a@b.org로", "a@b.org", "이메일a@b.org로", id="hangul-has-blanks"),
        pytest.param("请联系a@b.org谢谢", "a@b.org", "a@b.org", id="han"),
        pytest.param("連絡はa@b.orgまで", "a@b.org", "a@b.org", id="kana"),
        pytest.param("ติดต่อa@b.orgครับ", "a@b.org", "a@b.org", id="thai"),
        pytest.param("谢谢x.a@b.org,y谢", "a@b.org", "x.a@b.org,y", id="up-to-han"),
        pytest.param("谢，a@b.org。", "a@b.org", "a@b.org", id="wide-punctuation"),
        pytest.param("\u200bx\u200ba@b.org", "a@b.org", "x\u200ba@b.org", id="invisible"),
    ],
)
def test_a_finding_is_widened_to_its_token(text: str, found: str, expected: str) -> None:
    start = text.index(found)
    place = widened(Place(0, start, start + len(found)), Document({"goal": text}))

    assert text[place.start : place.end] == expected


def test_widening_has_a_limit() -> None:
    text = "x" * 500 + "a@b" + "y" * 500

    place = widened(Place(0, 500, 503), Document({"goal": text}))

    assert place == Place(0, 500 - MAX_WIDENING_CHARACTERS, 503 + MAX_WIDENING_CHARACTERS)


# Random findings


def values(value: Any) -> Iterator[Any]:
    """Yield the leaves of `value` in the order of `Document`."""
    match value:
        case dict():
            for item in value.values():
                yield from values(item)
        case list():
            for item in value:
                yield from values(item)
        case _:
            yield value


def shape(value: Any) -> Any:
    """Return `value` without its texts and numbers, but with keys, lists, booleans and nulls."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(item) for item in value]
        case bool() | None:
            return value
    return "value"


@given(FIELDS, st.data())
@settings(deadline=None)
def test_exactly_the_findings_are_replaced(fields: Any, data: Any) -> None:
    document = Document(fields)
    slots = [n for n, p in enumerate(document.pieces) if not p.is_key and p.text]
    found: dict[int, set[int]] = {}
    places = []
    for number in data.draw(st.lists(st.sampled_from(slots), max_size=8) if slots else st.just([])):
        size = len(document.pieces[number].text)
        start = data.draw(st.integers(0, size - 1))
        end = data.draw(st.integers(start + 1, size))
        places.append((Place(number, start, end), data.draw(st.sampled_from(LABELS))))
        found.setdefault(number, set()).update(range(start, end))

    after = fields_of(Redaction(document).extended(places))

    assert shape(after) == shape(fields)
    leaves = [leaf for leaf in values(fields) if leaf is not None and not isinstance(leaf, bool)]
    numbers = [n for n, piece in enumerate(document.pieces) if not piece.is_key]
    new = [leaf for leaf in values(after) if leaf is not None and not isinstance(leaf, bool)]
    for number, old_leaf, leaf in zip(numbers, leaves, new, strict=True):
        if number not in found:
            assert (leaf, type(leaf)) == (old_leaf, type(old_leaf))
        elif document.pieces[number].is_number:
            assert leaf in LABELS
        else:
            assert without_labels(leaf, old_leaf, found[number])


def without_labels(after: str, before: str, gone: set[int]) -> bool:
    """Return whether `after` is `before` with labels for `gone` and otherwise unchanged."""
    rest = after
    for index, character in enumerate(before):
        if index not in gone:
            if not rest.startswith(character):
                return False
            rest = rest[1:]
        elif index == 0 or index - 1 not in gone:
            length = rest.find("]") + 1
            if rest[:length] not in LABELS:
                return False
            # Adjacent places have one label each.
            rest = rest[length:]
            while rest.startswith(LABELS) and not before[index:].startswith(LABELS):
                rest = rest[rest.find("]") + 1 :]
    return rest == ""
