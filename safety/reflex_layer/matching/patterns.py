"""Tools for the rule tables: readable patterns that match folded texts."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .folding import fold_character, lower_character

Check = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A type of PII and its pattern, whose group `v` is the value.

    A bare number in a link is far more often an id than personal data, so rules for numbers set
    `in_links=False`.
    """

    type: str
    pattern: re.Pattern[str]
    confidence: float
    check: Check | None = None
    cased: bool = False
    in_links: bool = True


# Allowed between a word and its value: "phone number of the client is 555 ...".
BETWEEN = (
    r"[\s\"'(:=#.,*_/-]|numbers?|num|nr|no|is|was|at|on|me|us|him|her|them|my|our|the|to|of|for|"
    r"customer|client|user|patient|employee|work|home|cell|mobile|phone|new|old|back|or|and|id|"
    r"nummer|ist|lautet|unter|von|mein|am|numero|est|de|du|la|le|au|al|del|el|em|mi|di|es|il|da|do|"
    r"meu|van|op"
)
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def beside(words: str, value: str) -> re.Pattern[str]:
    """Compile a pattern for a value that only counts right after one of the words."""
    return compiled(rf"(?<![a-z])(?:{as_folded(words)})(?:{BETWEEN}){{0,12}}{value}")


def as_folded(pattern: str) -> str:
    """Convert a lower-case pattern so that it matches folded text.

    Each letter is replaced by the folded forms of itself and of its capital, because a letter of
    another script may look like a Latin one in only one of the two cases.
    """
    return NOT_ASCII.sub(lambda match: folded_letter(match[0]), pattern)


def folded_letter(letter: str) -> str:
    forms = dict.fromkeys(
        "".join(map(lower_character, fold_character(case)))
        for case in (letter, letter.upper())
        if len(case) == 1
    )
    return next(iter(forms)) if len(forms) == 1 else f"(?:{'|'.join(forms)})"
