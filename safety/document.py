"""All texts of a submission as the one text that is screened, and the way back.

Each piece stands on a line of its own. A value of an object stands on one line with its key,
so that a detector sees `password: hunter2` whole. Byte offsets into the text lead back to the
field and the characters that they mean.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final

# A key that looks like an ordinary name may stand in a receipt; any other may be a secret
# itself, and is a text of the client in any case.
_PLAIN_NAME = re.compile(r"[A-Za-z]+(_[A-Za-z]+)*")
_LONGEST_NAME = 32
HIDDEN_NAME = "*"
# The Reflex Layer takes no more in one call.
MAX_TEXT_BYTES: Final = 100_000
# Of all findings together: thousands of them that each span thousands of pieces would fill
# the memory.
MAX_PLACES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Path:
    """The way to a piece: the name of a field, then indexes of lists and keys of objects.

    Attributes:
        step: a name or key, or the index in a list.
        key: for a key, the number of the piece that holds it; else None.
    """

    step: str | int
    parent: "Path | None" = None
    key: int | None = None

    def name(self, hidden: Collection[int] = ()) -> str:
        """Return it as `context.user.note` or `constraints[1]`.

        A key that is no plain name, or whose piece is among `hidden`, is shown as `*`.
        """
        if self.parent is None:
            return str(self.step)
        before = self.parent.name(hidden)
        if isinstance(self.step, int):
            return f"{before}[{self.step}]"
        is_plain = len(self.step) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(self.step)
        return f"{before}.{self.step if is_plain and self.key not in hidden else HIDDEN_NAME}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the submission.

    Attributes:
        is_key: whether it is the last name of its path itself.
        is_number: whether the client sent it as a number.
        is_fixed: whether it belongs to a field that takes no other value.
        separator: what follows it in the screened text.
    """

    path: Path
    text: str
    is_key: bool = False
    is_number: bool = False
    is_fixed: bool = False
    separator: str = "\n"

    @property
    def is_replaceable(self) -> bool:
        """Whether a label may stand in its place."""
        return not (self.is_key or self.is_fixed)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding lies: characters `start` to `end`, exclusive, of one piece."""

    piece: int
    start: int
    end: int


class TextTooLong(ValueError):
    """The texts do not fit into one call."""


class Document:
    """The fields of a submission, joined for one call.

    Args:
        fields: JSON values by the name of their field; how deep they may be is the
            caller's to bound.
        fixed: the same, of fields in which nothing can be replaced.
    """

    def __init__(
        self, fields: Mapping[str, Any], *, fixed: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self.fields = fields
        self._fixed = fixed

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All texts of the fields, in order, those of the fixed fields last.

        Raises:
            TextTooLong: they come to more than `MAX_TEXT_BYTES` bytes. Each piece takes at
                least one, so that no input makes more pieces than that.
        """
        pieces = _Pieces()
        for name, value in self.fields.items():
            _collect(pieces, Path(name), value)
        for name, value in self._fixed.items():
            _collect(pieces, Path(name), value, is_fixed=True)
        return tuple(pieces)

    def with_texts(self, texts: Mapping[int, str]) -> "Document":
        """Return it with other texts in some pieces, by their numbers."""
        numbers = iter(range(len(self.pieces)))
        fields = {name: _rebuild(value, numbers, texts) for name, value in self.fields.items()}
        return Document(fields, fixed=self._fixed)

    @cached_property
    def text(self) -> str:
        return "".join([piece.text + piece.separator for piece in self.pieces])

    @cached_property
    def size_bytes(self) -> int:
        """The size of the text in UTF-8."""
        return len(self.text.encode())

    def places(
        self, start: int | None, end: int | None, *, most: int = MAX_PLACES
    ) -> tuple[Place, ...]:
        """Return the places that bytes `start` to `end` of the text mean, one for each piece.

        Nothing if they mean none: outside of the text, reversed, between two pieces, or over
        more than `most` of them. An offset in the middle of a character takes that whole
        character in.
        """
        if start is None or end is None or not 0 <= start < end <= self.size_bytes:
            return ()
        first = bisect_right(self._byte_offsets, start) - 1
        last = bisect_left(self._byte_offsets, end)
        touched = range(bisect_right(self._starts, first) - 1, bisect_left(self._starts, last))
        if len(touched) > most:
            return ()
        places = (self._clipped(number, first, last) for number in touched)
        return tuple(place for place in places if place.start < place.end)

    def _clipped(self, number: int, first: int, last: int) -> Place:
        """Return what characters `first` to `last` of the text are in one piece."""
        start, length = self._starts[number], len(self.pieces[number].text)
        return Place(number, max(first - start, 0), min(last - start, length))

    @cached_property
    def _starts(self) -> list[int]:
        """Where each piece begins in the text, in characters."""
        sizes = [len(piece.text) + len(piece.separator) for piece in self.pieces]
        return list(accumulate(sizes[:-1], initial=0))

    @cached_property
    def _byte_offsets(self) -> Sequence[int]:
        """Where each character of the text begins, and at last where the text ends."""
        if self.text.isascii():
            return range(len(self.text) + 1)
        return list(accumulate([len(character.encode()) for character in self.text], initial=0))


class _Pieces(list[Piece]):
    """A list that does not grow beyond what one call can hold."""

    _size_bytes = 0

    def append(self, piece: Piece) -> None:
        self._size_bytes += len(piece.text.encode()) + len(piece.separator)
        if self._size_bytes > MAX_TEXT_BYTES:
            raise TextTooLong
        super().append(piece)


def _collect(pieces: _Pieces, path: Path, value: Any, *, is_fixed: bool = False) -> None:
    """Append the keys, strings and numbers of `value`; booleans and null hold no text."""
    match value:
        case str():
            pieces.append(Piece(path, value, is_fixed=is_fixed))
        case bool() | None:
            pass
        case int() | float() | Decimal():
            pieces.append(Piece(path, _stored(value), is_number=True, is_fixed=is_fixed))
        case list():
            for index, item in enumerate(value):
                _collect(pieces, Path(index, path), item, is_fixed=is_fixed)
        case dict():
            for key, item in value.items():
                item_path = Path(key, path, key=len(pieces))
                pieces.append(Piece(item_path, key, is_key=True, is_fixed=is_fixed, separator=": "))
                _collect(pieces, item_path, item, is_fixed=is_fixed)


def _rebuild(value: Any, numbers: Iterator[int], texts: Mapping[int, str]) -> Any:
    """Return `value` with the texts of its pieces replaced, walking as `_collect` does."""
    match value:
        case bool() | None:
            return value
        case str() | int() | float():
            return texts.get(next(numbers), value)
        case list():
            return [_rebuild(item, numbers, texts) for item in value]
        case dict():
            rebuilt = {}
            for key, item in value.items():
                next(numbers)
                rebuilt[key] = _rebuild(item, numbers, texts)
            return rebuilt
    raise TypeError(f"no JSON value: {type(value).__name__}")


def _stored(number: float | Decimal) -> str:
    """Return the digits that PostgreSQL stores: of the shortest decimal, without an exponent."""
    return str(number) if isinstance(number, int) else f"{Decimal(str(number)):f}"
