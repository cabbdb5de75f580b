"""Divide a goal into parts by the numbers and the words of order that it has."""

import re
from dataclasses import dataclass
from typing import Final

from tasks.arms.bundled.comparing import asks_to_compare
from tasks.arms.bundled.request import Unable
from tasks.arms.bundled.sentiment import asks_for_sentiment

MAX_PARTS: Final = 20
# Each part may repeat it.
MAX_INTRODUCTION_CHARACTERS: Final = 300

# One more than allowed, so that too many are noticed. The patterns take time in proportion to the
# length of any goal.
_SERIES: Final = (
    (
        re.compile(r"(?<!\S)\(?([0-9]{1,2})[.)](?=\s)"),
        [str(number) for number in range(1, MAX_PARTS + 2)],
    ),
    (re.compile(r"(?<!\S)\(?([a-z])\)(?=\s)", re.IGNORECASE), list("abcdefghijklmnopqrstu")),
    (
        re.compile(r"(?<!\S)(first|second|third|fourth|fifth)(?:ly)?[,:](?=\s)", re.IGNORECASE),
        "first second third fourth fifth".split(),
    ),
)
_ORDER: Final = r"(?:then|next|afterwards|after that|finally|lastly)\b"
# A space that divides two parts. Texts have no other runs of spaces when it is used.
_BREAK: Final = re.compile(
    rf"(?<=[.,;!?]) (?:and )?(?={_ORDER})|\n(?:and )?(?={_ORDER})| and (?=(?:then|finally)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Part:
    """A part of a goal.

    Attributes:
        number: the client's number of it; the pieces of a numbered part that has a "then" share it.
    """

    number: int
    text: str


def divide(goal: str) -> list[Part]:
    """Return the parts of a goal; a goal without any is one part.

    Raises:
        Unable: there are too many.
    """
    lines = (" ".join(line.split()) for line in goal.splitlines())
    text = "\n".join(line for line in lines if line)
    introduction, items = _items(text)
    if items:
        parts = [
            Part(number, _completed(piece, introduction))
            for number, item in items
            for piece in _pieces(item)
        ]
    else:
        parts = [Part(number, piece) for number, piece in enumerate(_pieces(text) or [text], 1)]
    if len(parts) > MAX_PARTS:
        raise Unable(f"The goal has too many parts; this arm plans for {MAX_PARTS} at most.")
    return parts


def _items(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Return what stands before the first number, and the numbered items, if there are several."""
    for pattern, names in _SERIES:
        markers: list[re.Match[str]] = []
        for marker in pattern.finditer(text):
            is_next = marker[1].lower() == names[len(markers)]
            # A number in the middle of a sentence, as in "version 1. ", does not begin a list.
            if is_next and (markers or _begins_sentence(text, marker.start())):
                markers.append(marker)
            if len(markers) == len(names):
                break
        ends = [marker.start() for marker in markers[1:]] + [len(text)]
        items = [
            (number, text[marker.end() : end])
            for number, (marker, end) in enumerate(zip(markers, ends, strict=False), 1)
        ]
        if len(items) > 1 and all(_clean(item) for _, item in items):
            return _clean(text[: markers[0].start()]), items
    return "", []


def _begins_sentence(text: str, position: int) -> bool:
    return position == 0 or text[position - 1] == "\n" or text[position - 2] in ".,:;!?"


def _pieces(text: str) -> list[str]:
    """Divide a text at words such as "then"."""
    return [piece for part in _BREAK.split(text, MAX_PARTS) if (piece := _clean(part))]


def _completed(piece: str, introduction: str) -> str:
    """Repeat an introduction such as "Find the sentiment of:" in a part that needs it."""
    is_complete = asks_for_sentiment(piece) or asks_to_compare(piece)
    is_too_long = len(introduction) > MAX_INTRODUCTION_CHARACTERS
    if is_complete or is_too_long or not asks_for_sentiment(introduction):
        return piece
    return f"{introduction} {piece}"


def _clean(text: str) -> str:
    """Put a text into one line, and leave out what joined it to the next."""
    return text.replace("\n", " ").strip(" ,;(").removesuffix(" and").rstrip(" ,;")
