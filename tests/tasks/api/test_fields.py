"""Single fields of the serializers; test_bad_input.py tests them as parts of whole bodies."""

import re
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.serializers import Field, ListField, ValidationError

from tasks.api.fields import (
    NOT_BLANK,
    DecimalField,
    IntegerField,
    ObjectField,
    PriorityField,
    TextField,
    TextListField,
)
from tasks.states import Priority

COST = DecimalField(max_digits=12, decimal_places=4, coerce_to_string=False)
WHOLE = IntegerField()
TEXT = TextField(max_length=3)
TEXTS = TextListField(max_items=2, max_length=3)
OBJECT = ObjectField(max_depth=2)
PRIORITY = PriorityField(choices=Priority.choices)


@pytest.mark.parametrize(
    ("field", "data", "value"),
    [
        # A conversion of the binary value would give 0.1000000000000000055511151231257827.
        (COST, 0.1, Decimal("0.1")),
        (COST, 1, Decimal(1)),
        (COST, 1e-4, Decimal("0.0001")),
        (COST, 1e2, Decimal(100)),
        # JSON has only one type of number.
        (WHOLE, 300.0, 300),
        (WHOLE, -5, -5),
        (TEXT, " a ", " a "),
        (TEXT, "🐙🐙🐙", "🐙🐙🐙"),
        (TEXTS, [], []),
        (TEXTS, ["a", " b "], ["a", " b "]),
        (OBJECT, {"": {}, "a": [1, None]}, {"": {}, "a": [1, None]}),
        (PRIORITY, "low", "low"),
    ],
)
def test_valid_value_is_accepted(field: Any, data: Any, value: Any) -> None:
    taken = field.run_validation(data)
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize(
    ("field", "data"),
    [
        (COST, 0.1 + 0.2),
        (COST, True),
        (COST, "1"),
        (WHOLE, 0.1),
        (WHOLE, False),
        (WHOLE, "1"),
        (TEXT, "abcd"),
        (TEXT, 1),
        (TEXTS, ["a", "b", "c"]),
        # A mapping and a string can be iterated like a list. JSON has no tuples and no sets.
        (TEXTS, {"a": "b"}),
        (TEXTS, "ab"),
        (OBJECT, {"a": [[]]}),
        (OBJECT, [["a", "b"]]),
        # A list is not hashable, so it cannot be looked up in a dict.
        (PRIORITY, ["low"]),
        (PRIORITY, None),
    ],
)
def test_invalid_value_is_refused(field: Any, data: Any) -> None:
    with pytest.raises(ValidationError):
        field.run_validation(data)


def test_list_that_is_too_long_is_refused_before_its_items_are_read() -> None:
    with pytest.raises(ValidationError) as caught:
        TEXTS.run_validation(["", 1, None])
    assert caught.value.detail == ["Ensure this field has no more than 2 elements."]


@pytest.mark.parametrize("field", [COST, WHOLE, TEXT, TEXTS, OBJECT, PRIORITY])
@pytest.mark.parametrize("data", ["hunter2\0", ["hunter2\ud800"], {"hunter2": "\0"}, [["hunter2"]]])
def test_refusal_does_not_quote_the_value(field: Field[Any, Any, Any, Any], data: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        field.run_validation(data)
    assert "hunter2" not in str(caught.value.detail)


def test_list_shows_its_limits_to_the_schema() -> None:
    assert isinstance(TEXTS, ListField)
    assert (TEXTS.max_length, TEXTS.child.max_length) == (2, 3)


def test_not_blank_pattern_agrees_with_isspace() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    not_blank = set(re.findall(NOT_BLANK, "".join(characters)))
    assert not_blank == {character for character in characters if not character.isspace()}
