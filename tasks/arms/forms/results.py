"""Looking into a result: its fields, items and texts."""

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from tasks.arms.forms.verdict import shown

# Nothing here recurses, because results may be nested deeply.

# The largest integers that Python writes have more bits.
_MOST_BITS: Final = 10_000


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_empty(value: Any) -> bool:
    """Return whether a value is null, has no parts, or is a text that shows nothing."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not folded(value))


def children(value: Any) -> list[tuple[str, Any]]:
    """Return the keys and values of an object, or the items of a list, which have no keys."""
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()]
    return [("", item) for item in value] if isinstance(value, list) else []


def walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value and all that is in it with their keys, in their order.

    What is inside a field of that name is left out, so that each part of a result is checked once,
    however deeply fields of one name are nested.
    """
    waiting = [("", value)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if not name or normalised(key) != name:
            waiting.extend(reversed(children(value)))


def leaves(value: Any) -> list[Any]:
    return [item for _, item in walk(value) if not isinstance(item, dict | list)]


def strings(value: Any) -> list[str]:
    return [leaf for leaf in leaves(value) if isinstance(leaf, str)]


def texts(value: Any) -> list[str]:
    """Return the strings and numbers in a value."""
    return [
        leaf if isinstance(leaf, str) else shown(leaf, _MOST_BITS)
        for leaf in leaves(value)
        if isinstance(leaf, str) or is_number(leaf)
    ]


def only_text(value: Any) -> str | None:
    found = strings(value)
    return found[0] if len(found) == 1 else None


def only_list(value: Any) -> list[Any] | None:
    """Return a list, or the only list at the top of an object."""
    value = structured(value)
    inside = [value] if isinstance(value, list) else [item for _, item in children(value)]
    lists = [item for item in inside if isinstance(item, list)]
    return lists[0] if len(lists) == 1 else None


def structured(value: Any) -> Any:
    """Return a text that is a JSON object or list as that, and anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            return parsed(value)
    return value


def parsed(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply to tell.
    """
    # JSON allows more digits than int() takes.
    return json.loads(
        text,
        parse_constant=_refused,
        parse_int=lambda digits: int(digits) if len(digits) < 1000 else float(digits),
    )


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def normalised(name: str) -> str:
    """Return the name of a field without differences that do not matter."""
    return re.sub(r"[\s_-]+", "", name.casefold())


# Soft hyphens and characters without width or of direction do not make a word a different one.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
# Normalising a long run of accents takes quadratic time.
_LONGEST_NORMALISED: Final = 256


def visible(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub("", text)


def folded(text: str) -> str:
    """Return text without differences in case, white space and kinds of the same character."""
    if not text.isascii():
        text = " ".join(
            unicodedata.normalize("NFKC", word) if len(word) <= _LONGEST_NORMALISED else word
            for word in visible(text).split()
        )
    return " ".join(text.casefold().split())
