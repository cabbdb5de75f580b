"""The one text that is screened for a submission."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.document import Document, Piece, pieces_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def text_of(value: Any) -> str:
    return Document(pieces_of("context", value)).text


def test_pieces_keep_their_order_and_know_their_paths() -> None:
    value = {"user": {"note": "be quick", "ids": [7, "x"]}, "b": "last"}

    assert list(pieces_of("context", value)) == [
        Piece("context.user", "user", is_key=True, separator=": "),
        Piece("context.user.note", "note", is_key=True, separator=": "),
        Piece("context.user.note", "be quick"),
        Piece("context.user.ids", "ids", is_key=True, separator=": "),
        Piece("context.user.ids[0]", "7"),
        Piece("context.user.ids[1]", "x"),
        Piece("context.b", "b", is_key=True, separator=": "),
        Piece("context.b", "last"),
    ]


def test_items_of_a_list_stand_on_lines_of_their_own() -> None:
    assert Document(pieces_of("constraints", ["one", "two"])).text == "one\ntwo\n"


def test_a_value_stands_on_one_line_with_its_key() -> None:
    assert text_of({"password": "hunter2", "port": 80}) == "password: hunter2\nport: 80\n"


@pytest.mark.parametrize("value", [True, False, None, [], {}], ids=repr)
def test_what_holds_no_text_gives_no_piece(value: Any) -> None:
    assert list(pieces_of("context", value)) == []


@pytest.mark.parametrize("value", [True, None], ids=repr)
def test_the_key_of_what_holds_no_text_is_screened(value: Any) -> None:
    assert text_of({"is_admin": value}) == "is_admin: "


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        pytest.param(4111111111111111, "4111111111111111", id="card"),
        # The same card, as JSON may also write it.
        pytest.param(4111111111111111.0, "4111111111111111", id="card-with-a-point"),
        pytest.param(4.111111111111111e15, "4111111111111111", id="card-with-an-exponent"),
        pytest.param(-5, "-5", id="negative"),
        pytest.param(-5.0, "-5", id="negative-integral"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-0.0, "0", id="negative-zero"),
        pytest.param(123456789.25, "123456789.25", id="fraction"),
        pytest.param(1e-9, "1e-09", id="tiny"),
        pytest.param(5e-324, "5e-324", id="tiniest"),
        pytest.param(1e22, "1" + "0" * 22, id="large"),
        pytest.param(10**300, "1" + "0" * 300, id="huge-integer"),
        pytest.param(2.0**1023, str(2**1023), id="huge-float"),
    ],
)
def test_a_number_is_screened_as_its_digits(number: float, digits: str) -> None:
    assert list(pieces_of("context.n", number)) == [Piece("context.n", digits)]


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 1), ("abc", 4), ("é", 3), ("€", 4), ("😀", 5)],
    ids=["empty", "ascii", "two-bytes", "three-bytes", "four-bytes"],
)
def test_its_size_is_counted_in_bytes_of_utf_8_with_the_separators(text: str, size: int) -> None:
    assert Document([Piece("goal", text)]).size_bytes == size


def test_no_pieces_are_an_empty_text() -> None:
    document = Document([])

    assert (document.text, document.size_bytes) == ("", 0)


@given(JSON)
def test_each_piece_is_found_in_the_text_at_its_place(value: Any) -> None:
    document = Document(pieces_of("context", value))

    place = 0
    for piece in document.pieces:
        assert document.text.startswith(piece.text + piece.separator, place)
        place += len(piece.text) + len(piece.separator)
    assert place == len(document.text)


@given(JSON)
def test_every_key_string_and_number_is_in_a_piece(value: Any) -> None:
    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for key, item in value.items() for text in (key, *texts(item))]
        if isinstance(value, list):
            return [text for item in value for text in texts(item)]
        if isinstance(value, str):
            return [value]
        if value is None or isinstance(value, bool):
            return []
        return [str(int(value)) if value == int(value) else str(value)]

    assert [piece.text for piece in pieces_of("context", value)] == texts(value)
