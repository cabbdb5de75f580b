"""Undo the disguises of a text, and remember where each character came from.

Detectors read the folded text, in which full-width digits, look-alike letters and invisible
characters have lost their effect. What they find is reported as byte offsets into the
original, which is why every folded character keeps the index of its origin.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

# Letters of other scripts that are drawn like a Latin one. Only the look counts here, so that
# "ignore" written with Cyrillic letters is still the English word.
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

# Drawn as nothing, though Unicode counts them among the letters and symbols.
BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")

# Whitespace that structures a text. Other control characters only split words.
KEPT_CONTROLS = frozenset("\t\n\v\f\r")

PLAIN = re.compile(r"[\t-\r -~]*")

# Some ligatures unfold into a whole phrase, which would let a text grow many times over.
LONGEST_UNFOLDING = 4

# Invisible "tag" characters mirror ASCII: a model reads them, a person does not.
TAGS = range(0xE0020, 0xE007F)
TAG_OFFSET = 0xE0000


@dataclass(frozen=True, slots=True)
class Folded:
    """A text without disguise: `cased` and `lower` have the same length and indexes.

    Attributes:
        ends: for each character of the original, where what it was folded to ends; empty if
            each became one character.
    """

    original: str
    cased: str
    lower: str
    ends: Sequence[int] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the slice of the original that the folded slice came from, in characters."""
        if not self.ends:
            return start, end
        return bisect_right(self.ends, start), bisect_right(self.ends, end - 1) + 1

    def byte_offsets(self, indexes: Iterable[int]) -> dict[int, int]:
        """Return how many bytes of UTF-8 come before these characters of the original."""
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


# A text may hold as many different characters as there are in most scripts together.
@lru_cache(maxsize=65536)
def fold_character(character: str) -> str:
    """Return what a character is read as: itself, a plainer one, several, or nothing."""
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
    """Drop accents and invisible characters, and give others the ASCII form that they have."""
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
    """Lower a character unless that would change the length, and with it every index."""
    lower = character.lower()
    return lower if len(lower) == 1 else character
