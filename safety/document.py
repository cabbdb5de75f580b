"""Join all texts of a submission or an answer into one for screening, and map findings back.

Each piece has its own line. The value of an object shares a line with its key, so that a
detector sees `password: hunter2` whole. Byte offsets into the joined text are mapped back to
the fields and their characters.
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

# Receipts show a key only if it looks like an ordinary name: any other key is free text of the
# client, and may itself be a secret.
_PLAIN_NAME = re.compile(r"[A-Za-z]+(_[A-Za-z]+)*")
_LONGEST_NAME = 32
HIDDEN_NAME = "*"
# The Reflex Layer accepts no more in one call.
MAX_TEXT_BYTES: Final = 100_000
# For the answer of an arm, a JSON document of up to 1 MiB. Its text is no longer than that, except
# for numbers with an exponent: they are screened as PostgreSQL stores them, 1e300 as 301 digits. An
# answer of nothing but such numbers would have 55 MB, here as in the database.
MAX_ANSWER_TEXT_BYTES: Final = 4 * 1_048_576
# For all findings together: thousands of findings that each span thousands of pieces would
# exhaust the memory.
MAX_PLACES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Path:
    """The path to a piece: a field name, followed by list indexes and object keys.

    Attributes:
        step: the last part of the path: a field name, a list index or an object key.
        parent: the path without its last part; None for a field.
        key: the number of the piece that holds the object key; None for other steps.
    """

    step: str | int
    parent: "Path | None" = None
    key: int | None = None

    def name(self, hidden: Collection[int] = ()) -> str:
        """Return the path in the form `context.user.note` or `constraints[1]`.

        A key is shown as `*` if it is not a plain name, or if its piece is in `hidden`.
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
    """One text of a document.

    Attributes:
        is_key: whether the text is an object key, the last step of its own path.
        is_number: whether it was sent as a number.
        is_fixed: whether it belongs to a field whose value cannot be replaced.
        separator: the characters after it in the screened text.
    """

    path: Path
    text: str
    is_key: bool = False
    is_number: bool = False
    is_fixed: bool = False
    separator: str = "\n"

    @property
    def is_replaceable(self) -> bool:
        """Whether a label may replace parts of the text."""
        return not (self.is_key or self.is_fixed)


@dataclass(frozen=True, slots=True)
class Place:
    """The part of one piece that a finding covers: characters `start` to `end`, exclusive."""

    piece: int
    start: int
    end: int


class TextTooLong(ValueError):
    """The texts of a document are longer than its limit."""


class Document:
    """The fields of a submission, or the answer of an arm, joined into one text.

    Args:
        fields: JSON values by field name, without NUL characters and lone surrogates. The caller
            limits their depth.
        fixed: JSON values by field name, for fields in which nothing can be replaced.
        max_text_bytes: how long the text may be: by default, as much as fits into one call.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        *,
        fixed: Mapping[str, Any] = MappingProxyType({}),
        max_text_bytes: int = MAX_TEXT_BYTES,
    ) -> None:
        self.fields = fields
        self._fixed = fixed
        self._max_text_bytes = max_text_bytes

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All texts in order, with those of the fixed fields last.

        Raises:
            TextTooLong: the texts take more bytes than the document may have. Each piece takes at
                least one byte, so this also limits the number of pieces.
        """
        pieces = _Pieces(self._max_text_bytes)
        for name, value in self.fields.items():
            _collect(pieces, Path(name), value)
        for name, value in self._fixed.items():
            _collect(pieces, Path(name), value, is_fixed=True)
        return tuple(pieces)

    def with_texts(self, texts: Mapping[int, str]) -> "Document":
        """Return a copy in which `texts` replaces the pieces with these numbers."""
        numbers = iter(range(len(self.pieces)))
        fields = {name: _rebuild(value, numbers, texts) for name, value in self.fields.items()}
        return Document(fields, fixed=self._fixed, max_text_bytes=self._max_text_bytes)

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
        """Return the places that bytes `start` to `end` of the text cover, one for each piece.

        Return nothing if the offsets are missing, reversed or outside the text, if they cover
        only a separator, or if they touch more than `most` pieces. An offset in the middle of
        a character includes the whole character.
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
        """Return the part of one piece within characters `first` to `last` of the text."""
        start, length = self._starts[number], len(self.pieces[number].text)
        return Place(number, max(first - start, 0), min(last - start, length))

    @cached_property
    def _starts(self) -> list[int]:
        """The character offset of each piece in the text."""
        sizes = [len(piece.text) + len(piece.separator) for piece in self.pieces]
        return list(accumulate(sizes[:-1], initial=0))

    @cached_property
    def _byte_offsets(self) -> Sequence[int]:
        """The byte offset of each character of the text, and of the end of the text."""
        if self.text.isascii():
            return range(len(self.text) + 1)
        return list(accumulate([len(character.encode()) for character in self.text], initial=0))


class _Pieces(list[Piece]):
    """A list of pieces that does not grow beyond a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._bytes_left = max_bytes

    def append(self, piece: Piece) -> None:
        self._bytes_left -= len(piece.text.encode()) + len(piece.separator)
        if self._bytes_left < 0:
            raise TextTooLong
        super().append(piece)


def _collect(pieces: _Pieces, path: Path, value: Any, *, is_fixed: bool = False) -> None:
    """Append the keys, strings and numbers of `value`; skip booleans and null."""
    match value:
        case str():
            pieces.append(Piece(path, value, is_fixed=is_fixed))
        case bool() | None:
            pass
        case int() | float() | Decimal():
            pieces.append(Piece(path, _stored_digits(value), is_number=True, is_fixed=is_fixed))
        case list():
            for index, item in enumerate(value):
                _collect(pieces, Path(index, path), item, is_fixed=is_fixed)
        case dict():
            for key, item in value.items():
                item_path = Path(key, path, key=len(pieces))
                pieces.append(Piece(item_path, key, is_key=True, is_fixed=is_fixed, separator=": "))
                _collect(pieces, item_path, item, is_fixed=is_fixed)


def _rebuild(value: Any, numbers: Iterator[int], texts: Mapping[int, str]) -> Any:
    """Return `value` with replaced texts, visiting its parts in the same order as `_collect`."""
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
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def _stored_digits(number: float | Decimal) -> str:
    """Return the digits that PostgreSQL stores: the shortest decimal, without an exponent."""
    return str(number) if isinstance(number, int) else f"{Decimal(str(number)):f}"
