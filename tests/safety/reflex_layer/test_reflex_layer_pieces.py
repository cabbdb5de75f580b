"""Findings in the text of a whole submission, in which each piece has its own line."""

from typing import Any

import pytest

from safety.document import Document
from safety.reflex_layer.screening import screen


def types_in(context: Any) -> list[str]:
    text = Document({"goal": "Book it", "context": context, "constraints": ["Be quick"]}).text
    return [match["pii_type"] for match in screen(text)["pii_matches"]]


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"card": ["4111", "1111", "1111", "1111"]}, id="four items"),
        pytest.param({"x": [4111, 1111, 1111, 1111]}, id="numbers"),
        pytest.param({"x": ["41111111", "11111111"]}, id="two halves"),
        pytest.param({"x": ["3782", "822463", "10005"]}, id="another network's groups"),
        pytest.param({"a": "4111", "b": "1111", "c": "1111", "d": "1111"}, id="keys between"),
        pytest.param({"x": ["4111", "1111", "1111", "1111"], "until": 2027}, id="a year behind"),
        pytest.param({"x": ["４１１１", "１１１１", "１１１１", "１１１１"]}, id="full width"),
    ],
)
def test_card_is_found_over_the_items_of_a_list(context: Any) -> None:
    assert types_in(context) == ["CreditCard"]


@pytest.mark.parametrize(
    "context",
    [
        # These numbers pass the check digit of a card.
        pytest.param({"sales": [4500, 6200, 6200, 4900]}, id="rounded amounts"),
        pytest.param({"ids": [4009, 4010, 4011, 4012]}, id="ids in a row"),
        pytest.param({"years": [2021, 2022, 2023, 2024]}, id="years"),
        # The first four numbers alone would be a card.
        pytest.param({"x": [4111, 1111, 1111, 1111, 2222, 3333, 4444]}, id="a longer list"),
    ],
)
def test_list_of_numbers_is_not_a_card(context: Any) -> None:
    assert types_in(context) == []


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"password": "hunter2abc"}, id="plain"),
        pytest.param({"password": {"x": "hunter2abc"}}, id="nested"),
        pytest.param({"password": {"x": {"y": {"z": "hunter2abc"}}}}, id="deeper"),
        pytest.param({"password": {"x": 12345678}}, id="digits"),
        pytest.param({"passwords": ["hunter2abc"]}, id="several"),
        pytest.param({"Passwort": "Sommer2024!"}, id="German"),
        pytest.param({"mot de passe": "Soleil2024!"}, id="French"),
        pytest.param({"contraseña": {"wifi": "Verano2024!"}}, id="Spanish, nested"),
    ],
)
def test_password_is_found_below_its_name(context: Any) -> None:
    assert types_in(context) == ["ApiKey"]


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"password": {"type": "string", "minLength": 12}}, id="schema"),
        pytest.param({"password": None, "note": "ask Mary"}, id="empty"),
        pytest.param({"token": "abc123"}, id="too short for a token"),
    ],
)
def test_name_of_a_password_alone_is_not_a_secret(context: Any) -> None:
    assert types_in(context) == []
