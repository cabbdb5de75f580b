"""Fold a text: remove its disguises, and remember where each character came from.

Detectors read the folded text, in which full-width digits and look-alike letters are plain ones
and invisible characters are gone. Findings are reported as byte offsets into the original text,
so each folded character can be traced back to its original.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

# Letters of other scripts that look like a Latin one. Only the look counts here: "ignore" in
# Cyrillic letters is still read as the English word.
LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТХУԚԜавеѕіјкмнорстхуԁһԛԝӏѵгпкг"
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχγϲϳ"
    "ıɑɡɩʟոսօհցքՕՍ"
    # Dashes, quotation marks, dots and slashes.
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2018\u2019\u201a\u201b\u2032"
    "\u201c\u201d\u201e\u2033\u00ab\u00bb\u2024\u2044\u2215",
    "ABESIJKMHOPCTXYQWabesijkmhopctxydhqwlvrnkr"
    "ABEZHIKMNOPTYXaeikvoptuxycj"
    "iagilnuohgpOU"
    '--------\'\'\'\'\'"""""".//',
)

# Invisible characters that Unicode classes as letters or symbols.
BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")

# Whitespace that structures a text. Other control characters only split words.
KEPT_CONTROLS = frozenset("\t\n\v\f\r")

PLAIN = re.compile(r"[\t-\r -~]*")

# Some ligatures expand to a whole phrase, which could make a text many times longer.
LONGEST_UNFOLDING = 4

# Invisible "tag" characters mirror ASCII: a model reads them, a person does not.
TAGS = range(0xE0020, 0xE007F)
TAG_OFFSET = 0xE0000


@dataclass(frozen=True, slots=True)
class Folded:
    """A text without disguises: `cased` and `lower` have the same length and indexes.

    Attributes:
        ends: for each character of the original, where its folded form ends; empty if every
            folded form is one character.
    """

    original: str
    cased: str
    lower: str
    ends: Sequence[int] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the slice of the original, in characters, that a folded slice came from."""
        if not self.ends:
            return start, end
        return bisect_right(self.ends, start), bisect_right(self.ends, end - 1) + 1

    def byte_offsets(self, indexes: Iterable[int]) -> dict[int, int]:
        """Return the UTF-8 byte offset of each of these characters of the original."""
        ordered = sorted({0, *indexes})
        sizes = (len(self.original[first:last].encode()) for first, last in pairwise(ordered))
        return dict(zip(ordered, accumulate(sizes, initial=0), strict=True))


def fold(text: str) -> Folded:
    """Fold a text, in time proportional to its length."""
    if PLAIN.fullmatch(text):
        return Folded(text, text, text.lower())
    pieces = list(map(fold_character, text))
    sizes = list(map(len, pieces))
    ends = () if min(sizes) == max(sizes) == 1 else list(accumulate(sizes))
    cased = "".join(pieces)
    lower = cased.lower()
    if len(lower) != len(cased):
        lower = "".join(map(lower_character, cased))
    return Folded(text, cased, lower, ends)


# One text may contain this many different characters, from most scripts together.
@lru_cache(maxsize=65536)
def fold_character(character: str) -> str:
    """Return the folded form of a character: itself, a plainer one, several, or nothing."""
    if " " <= character <= "~" or character in KEPT_CONTROLS:
        return character
    if ord(character) in TAGS:
        return chr(ord(character) - TAG_OFFSET)
    unfolded = unicodedata.normalize("NFKD", character)
    if len(unfolded) == 1:
        return plain_character(unfolded)
    if len(unfolded) > LONGEST_UNFOLDING:
        return character
    return "".join(map(plain_character, unfolded))


def plain_character(character: str) -> str:
    """Drop accents and invisible characters; replace others by their ASCII form, if any."""
    if ord(character) in LOOK_ALIKES:
        return chr(LOOK_ALIKES[ord(character)])
    category = unicodedata.category(character)
    if character in BLANKS or category in {"Mn", "Me", "Cf"}:
        return ""
    if category == "Cc":
        return character if character in KEPT_CONTROLS else ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    return "\n" if category in {"Zl", "Zp"} else character


def lower_character(character: str) -> str:
    """Lower a character, unless that would change its length and shift every index."""
    lower = character.lower()
    return lower if len(lower) == 1 else character
