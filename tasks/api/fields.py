"""Strictly typed fields: a number is no string, a string no number, and true is neither."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.core.validators import ProhibitNullCharactersValidator
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from tasks.clients.keys import contains_credential

# A character that is not whitespace. The pattern lists what Python's `isspace` accepts, since `\s`
# differs between languages, and the API schema shows this pattern to all of them.
NOT_BLANK: Final = (
    r"[^\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)
_not_blank = re.compile(NOT_BLANK)
# A body may have thousands of unknown fields; the first few are enough to fix it.
MAX_UNKNOWN_SHOWN = 10


def text_fault(text: str) -> str | None:
    """Return why PostgreSQL could not hold `text`, or None."""
    if "\0" in text:
        return "NUL characters are not allowed."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Lone surrogates are not allowed: the text is no valid Unicode."
    return None


class TextField(serializers.CharField):
    """A string that is not blank, kept as it came."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        # `text_fault` checks the same faster than these validators do.
        self.validators = [
            validator
            for validator in self.validators
            if not isinstance(
                validator, ProhibitNullCharactersValidator | ProhibitSurrogateCharactersValidator
            )
        ]

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse other types before CharField converts them to text."""
        if data is not serializers.empty and data is not None:
            if not isinstance(data, str):
                self.fail("invalid")
            if fault := text_fault(data):
                raise serializers.ValidationError(fault)
            if not _not_blank.search(data):
                self.fail("blank")
        return super().run_validation(data)


class TextListField(serializers.ListField):
    """A list of texts; its length is checked before its items."""

    def __init__(self, *, max_items: int, max_length: int, **kwargs: Any) -> None:
        self.max_items = max_items
        # ListField shows its `max_length` in the schema.
        super().__init__(child=TextField(max_length=max_length), max_length=max_items, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, list) and len(data) > self.max_items:
            self.fail_too_long()
        texts: list[str] = super().to_internal_value(data)
        return texts

    def fail_too_long(self) -> None:
        raise serializers.ValidationError(
            f"Ensure this field has no more than {self.max_items} elements."
        )


class ObjectField(serializers.DictField):
    """A JSON object that PostgreSQL can hold, at most `max_depth` levels deep."""

    default_error_messages = {
        "not_a_dict": "Must be a JSON object.",
        "too_deep": "Nested too deeply: at most {max_depth} levels are allowed.",
    }

    def __init__(self, *, max_depth: int, **kwargs: Any) -> None:
        self.max_depth = max_depth
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_a_dict")
        self._check(data, 1)
        return data

    def _check(self, value: Any, depth: int) -> None:
        match value:
            case str():
                if fault := text_fault(value):
                    raise serializers.ValidationError(fault)
            case dict() | list():
                if depth > self.max_depth:
                    self.fail("too_deep", max_depth=self.max_depth)
                if isinstance(value, dict):
                    for key in value:
                        self._check(key, depth)
                    value = value.values()
                for item in value:
                    self._check(item, depth + 1)


def _is_number(data: Any) -> bool:
    return isinstance(data, int | float) and not isinstance(data, bool)


class IntegerField(serializers.IntegerField):
    """A whole number, written in any way: 300 and 300.0 are the same."""

    def to_internal_value(self, data: Any) -> int:
        if not _is_number(data) or data != math.floor(data):
            self.fail("invalid")
        return int(data)


class DecimalField(serializers.DecimalField):
    """A number with a limited number of decimals, kept exactly."""

    default_error_messages = {"max_string_length": "This number is too long."}

    def to_internal_value(self, data: Any) -> Decimal:
        if not _is_number(data):
            self.fail("invalid")
        # Converted from the shortest text, so that 0.1 stays 0.1.
        number: Decimal = super().to_internal_value(repr(data))
        return number


class PriorityField(serializers.ChoiceField):
    """A choice; its error names the choices and does not quote the input."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(f"Must be one of {', '.join(self.choices)}.")
        return data


class KnownFieldsOnly(serializers.Serializer[Any]):
    """Refuses unknown fields by name: a misspelt `priorty` must not become the default."""

    default_error_messages = {"invalid": "Must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        errors: dict[str, Any] = {}
        for name in sorted(data.keys() - self.fields.keys())[:MAX_UNKNOWN_SHOWN]:
            errors[shown(name)] = [f"Unknown field. Known are {', '.join(self.fields)}."]
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors |= error.detail if isinstance(error.detail, dict) else {}
        if errors:
            raise serializers.ValidationError(errors)
        return value


def shown(name: str, length: int = 100) -> str:
    """Return `name` in a form that an answer can hold. A key or token is not quoted."""
    if contains_credential(name):
        return "an API key or token"
    return name.encode(errors="replace").decode()[:length].replace("\0", "?")
