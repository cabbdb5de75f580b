"""All texts of a submission as the one text that is screened.

Each piece stands on a line of its own with the path of its field. A value of an object
stands on one line with its key, so that a detector sees `password: hunter2` whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the submission.

    Attributes:
        path: its field, such as `goal`, `constraints[1]` or `context.user.note`.
        is_key: whether it is the last name of that path itself.
        separator: what follows it in the screened text.
    """

    path: str
    text: str
    is_key: bool = False
    separator: str = "\n"


class Document:
    """The pieces of a submission, joined for one call."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)

    @cached_property
    def text(self) -> str:
        return "".join([piece.text + piece.separator for piece in self.pieces])

    @cached_property
    def size_bytes(self) -> int:
        """The size of the text in UTF-8."""
        return len(self.text.encode())


def pieces_of(path: str, value: Any) -> Iterator[Piece]:
    """Yield the keys, strings and numbers of a JSON value, in order.

    The depth of `value` is the caller's to bound. Booleans and null hold no text.
    """
    match value:
        case str():
            yield Piece(path, value)
        case bool() | None:
            pass
        case int() | float():
            yield Piece(path, _digits(value))
        case list():
            for index, item in enumerate(value):
                yield from pieces_of(f"{path}[{index}]", item)
        case dict():
            for key, item in value.items():
                item_path = f"{path}.{key}"
                yield Piece(item_path, key, is_key=True, separator=": ")
                yield from pieces_of(item_path, item)


def _digits(number: float) -> str:
    # 4111111111111111.0 and 4.111111111111111e15 are a card number too.
    return str(int(number)) if number == int(number) else repr(number)
