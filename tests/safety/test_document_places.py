"""How byte offsets into the screened text are mapped back to the fields."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.document import Document, Place
from tests.safety.reflex_client.json_values import FIELDS, TEXT

# Its text is "aé€😀\\nkey: x\\n7\\n": bytes 0, 1, 3, 6 begin the first four characters.
DOCUMENT = Document({"goal": "aé€😀", "context": {"key": ["x", 7]}})


def characters(document: Document, place: Place) -> str:
    return document.pieces[place.piece].text[place.start : place.end]


@given(FIELDS, st.data())
@settings(deadline=None)
def test_offsets_of_any_slice_of_a_piece_give_its_place(fields: Any, data: Any) -> None:
    document = Document(fields)
    number = data.draw(st.integers(0, len(document.pieces) - 1))
    text = document.pieces[number].text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    before = "".join(piece.text + piece.separator for piece in document.pieces[:number])
    first = len((before + text[:start]).encode())

    found = document.places(first, first + len(text[start:end].encode()))

    assert found == ((Place(number, start, end),) if start < end else ())


@given(FIELDS, st.integers(-5, 300), st.integers(-5, 300))
@settings(deadline=None)
def test_any_two_offsets_cover_exactly_the_characters_they_touch(
    fields: Any, start: int, end: int
) -> None:
    document = Document(fields)
    expected, offset = [], 0
    for number, piece in enumerate(document.pieces):
        touched = []
        for index, character in enumerate(piece.text + piece.separator):
            size = len(character.encode())
            if offset < end and start < offset + size and index < len(piece.text):
                touched.append(index)
            offset += size
        if touched:
            expected.append(Place(number, touched[0], touched[-1] + 1))

    is_within = 0 <= start < end <= offset
    assert document.places(start, end) == (tuple(expected) if is_within else ())


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        pytest.param(0, 1, ["a"], id="one-byte"),
        pytest.param(1, 3, ["é"], id="two-bytes"),
        pytest.param(6, 10, ["😀"], id="four-bytes"),
        pytest.param(2, 3, ["é"], id="from-the-middle-of-a-character"),
        pytest.param(0, 2, ["aé"], id="to-the-middle-of-a-character"),
        pytest.param(7, 8, ["😀"], id="within-a-character"),
        pytest.param(2, 7, ["é€😀"], id="from-middle-to-middle"),
        pytest.param(0, 11, ["aé€😀"], id="with-its-separator"),
        pytest.param(11, 14, ["key"], id="key"),
        pytest.param(11, 17, ["key", "x"], id="key-and-value"),
        pytest.param(9, 19, ["😀", "key", "x", "7"], id="all-fields"),
        pytest.param(0, 20, ["aé€😀", "key", "x", "7"], id="whole-text"),
    ],
)
def test_offsets_cover_the_characters_of_each_field(start: int, end: int, found: list[str]) -> None:
    places = DOCUMENT.places(start, end)

    assert [characters(DOCUMENT, place) for place in places] == found


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(10, 11, id="a-line-end"),
        pytest.param(14, 16, id="between-key-and-value"),
        pytest.param(3, 3, id="empty"),
        pytest.param(6, 1, id="reversed"),
        pytest.param(-1, 3, id="negative"),
        pytest.param(0, 21, id="beyond-the-end"),
        pytest.param(20, 21, id="after-the-end"),
        pytest.param(10**9, 10**9 + 1, id="far-outside"),
        pytest.param(None, 3, id="no-start"),
        pytest.param(0, None, id="no-end"),
        pytest.param(None, None, id="none"),
    ],
)
def test_unusable_offsets_give_no_place(start: int | None, end: int | None) -> None:
    assert DOCUMENT.size_bytes == 20
    assert DOCUMENT.places(start, end) == ()


def test_an_empty_document_has_no_places() -> None:
    assert Document({}).places(0, 1) == ()


def test_empty_pieces_have_no_place() -> None:
    assert Document({"constraints": ["", "", "x", ""]}).places(0, 5) == (Place(2, 0, 1),)


def test_more_places_than_allowed_give_none() -> None:
    document = Document({"constraints": ["x"] * 5})

    assert len(document.places(0, 10, most=5)) == 5
    assert document.places(0, 10, most=4) == ()


@given(TEXT.filter(bool))
@settings(deadline=None)
def test_the_same_text_is_found_in_the_right_one_of_two_fields(text: str) -> None:
    document = Document({"goal": text, "constraints": [text]})
    size = len(text.encode())

    assert document.places(size + 1, size + 1 + size) == (Place(1, 0, len(text)),)


def test_thousands_of_places_in_the_largest_text_take_little_time() -> None:
    document = Document({"context": {"é": "ab@c.de " * 12_000}})
    started = time.process_time()

    for start in range(4, 90_004, 9):
        assert len(document.places(start, start + 7)) == 1

    assert time.process_time() - started < 0.5
