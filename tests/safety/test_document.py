"""How the texts of a submission become one text for screening."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from safety.document import Document, Path, Piece
from tests.safety.reflex_client.json_values import JSON, texts_of

CONTEXT = Path("context")


def text_of(value: Any) -> str:
    return Document({"context": value}).text


def test_pieces_keep_their_order_and_know_their_paths() -> None:
    value = {"user": {"note": "be quick", "ids": [7, "x"]}, "b": "last"}

    user = Path("user", CONTEXT, key=0)
    note = Path("note", user, key=1)
    ids = Path("ids", user, key=3)
    b = Path("b", CONTEXT, key=6)
    assert Document({"context": value}).pieces == (
        Piece(user, "user", is_key=True, separator=": "),
        Piece(note, "note", is_key=True, separator=": "),
        Piece(note, "be quick"),
        Piece(ids, "ids", is_key=True, separator=": "),
        Piece(Path(0, ids), "7", is_number=True),
        Piece(Path(1, ids), "x"),
        Piece(b, "b", is_key=True, separator=": "),
        Piece(b, "last"),
    )


def test_fields_keep_their_order() -> None:
    document = Document({"goal": "first", "constraints": ["second"], "context": {"k": "third"}})

    assert document.text == "first\nsecond\nk: third\n"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        pytest.param({"goal": "x"}, ["goal"], id="field"),
        pytest.param({"constraints": ["x", "y"]}, ["constraints[0]", "constraints[1]"], id="list"),
        pytest.param(
            {"context": {"user": {"note": "x"}}},
            ["context.user", "context.user.note", "context.user.note"],
            id="keys",
        ),
        pytest.param(
            {"context": {"rows": [[{"note": 1}]]}},
            ["context.rows", "context.rows[0][0].note", "context.rows[0][0].note"],
            id="nested-lists",
        ),
    ],
)
def test_a_path_has_the_name_of_its_field(fields: dict[str, Any], names: list[str]) -> None:
    assert [piece.path.name() for piece in Document(fields).pieces] == names


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("user", "user"),
        ("user_note", "user_note"),
        ("UserNote", "UserNote"),
        pytest.param("a" * 32, "a" * 32, id="longest"),
        pytest.param("a" * 33, "*", id="too-long"),
        ("", "*"),
        ("4111111111111111", "*"),
        ("jane@example.com", "*"),
        ("two words", "*"),
        ("sk_live_4eC39HqLyjWD", "*"),
        ("a.b", "*"),
        ("a[0]", "*"),
        ("note\n", "*"),
        ("имя", "*"),
        ("<b>", "*"),
        ("_", "*"),
    ],
)
def test_only_a_key_that_is_a_plain_name_is_shown(key: str, shown: str) -> None:
    (_, piece) = Document({"context": {key: "x"}}).pieces

    assert piece.path.name() == f"context.{shown}"


def test_a_hidden_key_is_shown_in_no_path_below_it() -> None:
    pieces = Document({"context": {"hunter": {"hunter": ["x"]}}}).pieces

    assert [piece.path.name({0}) for piece in pieces] == [
        "context.*",
        "context.*.hunter",
        "context.*.hunter[0]",
    ]


def test_each_item_of_a_list_has_its_own_line() -> None:
    assert Document({"constraints": ["one", "two"]}).text == "one\ntwo\n"


def test_a_value_shares_a_line_with_its_key() -> None:
    assert text_of({"password": "hunter2", "port": 80}) == "password: hunter2\nport: 80\n"


@pytest.mark.parametrize("value", [True, False, None, [], {}], ids=repr)
def test_a_value_without_text_gives_no_piece(value: Any) -> None:
    assert Document({"context": value}).pieces == ()


@pytest.mark.parametrize("value", [True, None], ids=repr)
def test_the_key_of_a_value_without_text_is_screened(value: Any) -> None:
    assert text_of({"is_admin": value}) == "is_admin: "


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        pytest.param(4111111111111111, "4111111111111111", id="card"),
        pytest.param(4111111111111111.5, "4111111111111111.5", id="card-with-a-fraction"),
        pytest.param(-5, "-5", id="negative"),
        pytest.param(0, "0", id="zero"),
        pytest.param(123456789.25, "123456789.25", id="fraction"),
        pytest.param(1e-9, "0.000000001", id="tiny"),
        pytest.param(5e-324, "0." + "0" * 323 + "5", id="tiniest"),
        pytest.param(Decimal("0.5000"), "0.5000", id="decimal"),
        pytest.param(1e22, "1" + "0" * 22, id="large"),
        pytest.param(10**300, "1" + "0" * 300, id="huge-integer"),
        # The shortest decimal for this number, not its exact binary value.
        pytest.param(6212345678901015000.0, "6212345678901015000", id="large-float"),
    ],
)
def test_a_number_is_screened_as_its_digits(number: float, digits: str) -> None:
    assert Document({"n": number}).pieces == (Piece(Path("n"), digits, is_number=True),)


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 1), ("abc", 4), ("é", 3), ("€", 4), ("😀", 5)],
    ids=["empty", "ascii", "two-bytes", "three-bytes", "four-bytes"],
)
def test_the_size_is_in_bytes_of_utf_8_and_includes_separators(text: str, size: int) -> None:
    assert Document({"goal": text}).size_bytes == size


def test_a_document_without_pieces_is_an_empty_text() -> None:
    document = Document({})

    assert (document.text, document.size_bytes) == ("", 0)


@given(JSON)
@settings(deadline=None)
def test_each_piece_is_found_in_the_text_at_its_place(value: Any) -> None:
    document = Document({"context": value})

    place = 0
    for piece in document.pieces:
        assert document.text.startswith(piece.text + piece.separator, place)
        place += len(piece.text) + len(piece.separator)
    assert place == len(document.text)


@given(JSON)
@settings(deadline=None)
def test_every_key_string_and_number_is_in_a_piece(value: Any) -> None:
    assert [piece.text for piece in Document({"context": value}).pieces] == texts_of(value)
