"""Replace findings in a document by labels, and map places back to the original.

Cuts always refer to the original document, even after several rounds of redaction. A finding
in a redacted text is mapped back to the characters that the client sent.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Final

from safety.document import Document, Place

MAX_WIDENING_CHARACTERS: Final = 100
# Letters of scripts without blanks between words. A finding beside such letters is not part of
# a longer word. These are Thai to Tibetan, Myanmar, Khmer, Tai, Balinese, Han with its
# punctuation and Kana, Yi, Javanese, and the wide and narrow forms.
_WITHOUT_BLANKS: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u2e80-\u312f\u3190-\u4dbf\u4e00-\ua4cf\ua980-\ua9df\uaa60-\uaadf\uf900-\ufaff"
    "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\U00020000-\U0003ffff"
)
# The rest of a token, up to its last letter or digit.
_REST_OF_TOKEN: Final = re.compile(
    rf"(?:[^\s{_WITHOUT_BLANKS}]{{0,{MAX_WIDENING_CHARACTERS - 1}}}"
    rf"(?![{_WITHOUT_BLANKS}])[^\W_])?"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """Characters `start` to `end`, exclusive, of a piece, and the label that replaces them."""

    start: int
    end: int
    label: str


class Redaction:
    """A document in which places are replaced by labels.

    Args:
        original: the document as the client sent it.
        cuts: the cuts of each piece by its number, in order and without overlap.
    """

    def __init__(
        self, original: Document, cuts: Mapping[int, tuple[Cut, ...]] = MappingProxyType({})
    ) -> None:
        self._original = original
        self._cuts = cuts

    def extended(self, replacements: Iterable[tuple[Place, str]]) -> "Redaction":
        """Return a redaction that also replaces these places of the original by their labels.

        Overlapping places become one, with the label of the first. A number is replaced as a
        whole. The caller must not pass places in keys.
        """
        added: dict[int, list[Cut]] = defaultdict(list)
        for place, label in replacements:
            start, end = place.start, place.end
            piece = self._original.pieces[place.piece]
            if piece.is_number:
                start, end = 0, len(piece.text)
            added[place.piece].append(Cut(start, end, label))
        merged = {
            number: _merged((*self._cuts.get(number, ()), *cuts)) for number, cuts in added.items()
        }
        return Redaction(self._original, {**self._cuts, **merged})

    @cached_property
    def document(self) -> Document:
        """The redacted document."""
        if not self._cuts:
            return self._original
        pieces = self._original.pieces
        return self._original.with_texts(
            {number: _replaced(pieces[number].text, cuts) for number, cuts in self._cuts.items()}
        )

    def original_place(self, place: Place) -> Place | None:
        """Map a place in the redacted document to its place in the original.

        A place that begins or ends inside a label includes everything that the label replaces.
        Return None for a place inside a single label.
        """
        cuts = self._cuts.get(place.piece)
        if not cuts:
            return place
        before = self._label_at(place.piece, place.start)
        last = self._label_at(place.piece, place.end - 1)
        if before is not None and before == last:
            return None
        start = cuts[before].start if before is not None else self._back(place.piece, place.start)
        end = cuts[last].end if last is not None else self._back(place.piece, place.end - 1) + 1
        return Place(place.piece, start, end)

    def _label_at(self, piece: int, position: int) -> int | None:
        """Return the number of the cut whose label covers this position of the redacted text."""
        starts = self._label_starts[piece]
        number = bisect_right(starts, position) - 1
        if number < 0 or position >= starts[number] + len(self._cuts[piece][number].label):
            return None
        return number

    def _back(self, piece: int, position: int) -> int:
        """Return the original position of a character outside all labels."""
        starts = self._label_starts[piece]
        number = bisect_right(starts, position) - 1
        if number < 0:
            return position
        cut = self._cuts[piece][number]
        return cut.end + position - starts[number] - len(cut.label)

    @cached_property
    def _label_starts(self) -> dict[int, list[int]]:
        """The position of each label in the redacted text of its piece."""
        return {number: _label_starts(cuts) for number, cuts in self._cuts.items()}


def widened(place: Place, document: Document) -> Place:
    """Extend `place` to the whole token around it, so that no part of the token remains.

    A token ends at a blank, and at letters of scripts that are written without blanks.
    """
    text = document.pieces[place.piece].text
    before = text[max(0, place.start - MAX_WIDENING_CHARACTERS) : place.start][::-1]
    return replace(
        place,
        start=place.start - _rest_of_token(before, 0),
        end=place.end + _rest_of_token(text, place.end),
    )


def _rest_of_token(text: str, position: int) -> int:
    found = _REST_OF_TOKEN.match(text, position)
    return len(found[0]) if found else 0


def _merged(cuts: Iterable[Cut]) -> tuple[Cut, ...]:
    merged: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, -cut.end)):
        if merged and cut.start < merged[-1].end:
            merged[-1] = replace(merged[-1], end=max(merged[-1].end, cut.end))
        else:
            merged.append(cut)
    return tuple(merged)


def _replaced(text: str, cuts: tuple[Cut, ...]) -> str:
    parts, done = [], 0
    for cut in cuts:
        parts += [text[done : cut.start], cut.label]
        done = cut.end
    return "".join([*parts, text[done:]])


def _label_starts(cuts: tuple[Cut, ...]) -> list[int]:
    steps = (len(before.label) + after.start - before.end for before, after in pairwise(cuts))
    return list(accumulate(steps, initial=cuts[0].start))
