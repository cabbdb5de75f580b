"""Numbers and lengths, which a criterion compares with limits."""

import itertools
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

from tasks.arms.forms.results import is_number, only_list, only_text, texts, visible
from tasks.arms.forms.sentences import BE, HAVE, SUBJECT, Sentence, form
from tasks.arms.forms.verdict import Judged, decided, shown

_NUMBER_WORDS: Final = "zero one two three four five six seven eight nine ten".split()
# "1.000" may be a thousand, so it is no number.
_DIGITS: Final = (
    r"(?![+−-]?[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9]))"  # noqa: RUF001
    r"[+−-]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3}){1,4}|[0-9]{1,15}(?!,?[0-9]))(?:\.[0-9]{1,15})?"  # noqa: RUF001
)
_NUMBER: Final = rf"(?:{_DIGITS}|{'|'.join(_NUMBER_WORDS)})"
_WHOLE_NUMBER: Final = rf"(?![+−-])(?!\S*\.){_NUMBER}"  # noqa: RUF001
_COMPARISONS: Final = {
    "at least": "at least|(?:no|not) (?:less|fewer|shorter) than|a minimum of|>=|≥"
    "|(?:greater|more) than or equal to"
    "|(?:must|should|shall|may) not be (?:less|fewer|lower|shorter) than",
    "at most": "at most|(?:no|not) (?:more|longer) than|up to|a maximum of|<=|≤"
    "|(?:less|fewer) than or equal to"
    "|(?:must|should|shall|may) not (?:exceed|be (?:more|greater|higher|longer) than)",
    "more than": "(?:more|greater|higher|larger|longer) than|above|over|>",
    "less than": "(?:less|fewer|lower|smaller|shorter) than|below|under|<",
    "exactly": "exactly|equal to|=",
}
# How a number compares with zero.
_SIGNS: Final = {
    "positive": "more than",
    "negative": "less than",
    "not negative": "at least",
    "non-negative": "at least",
}


def _limits_of(number: str) -> str:
    """Return the pattern of limits that are numbers of a pattern."""
    return (
        rf"(?:(?P<comparison>{'|'.join(_COMPARISONS.values())}) (?P<number>{number})"
        r"|(?:(?P<between>between )|(?:in the range )?(?:from )?)"
        rf"(?P<low>{number}) (?(between)and|to) (?P<high>{number}))"
    )


def _number(text: str) -> float:
    """Return the number that digits or a word of a sentence mean."""
    if text in _NUMBER_WORDS:
        return _NUMBER_WORDS.index(text)
    text = text.replace("−", "-").replace(",", "")  # noqa: RUF001
    return float(text) if "." in text else int(text)


def _limits(parts: dict[str, str]) -> tuple[str, float, float, bool]:
    """Return limits in words, the lowest and highest number, and whether these are excluded."""
    if "low" in parts:
        low, high = _number(parts["low"]), _number(parts["high"])
        return f"between {low} and {high}", low, high, False
    if "sign" in parts:
        meaning, number = _SIGNS[parts["sign"]], _number("zero")
    else:
        number = _number(parts["number"])
        meaning = next(
            key for key, words in _COMPARISONS.items() if re.fullmatch(words, parts["comparison"])
        )
    low = -math.inf if meaning in ("at most", "less than") else number
    high = math.inf if meaning in ("at least", "more than") else number
    return f"{meaning} {number}", low, high, meaning in ("more than", "less than")


def _check_number(sentence: Sentence, value: Any) -> Judged:
    words, low, high, is_open = _limits(sentence.parts)
    if sentence.is_about_result and isinstance(value, str):
        text = value.strip()
        value = _number(text) if re.fullmatch(_DIGITS, text) else None
    if not is_number(value):
        return decided(None, "It is not a number.")
    if low > high:
        return decided(None, "No number is within the limits.")
    holds = low < value < high if is_open else low <= value <= high
    # Neither NaN nor Infinity is ever within.
    holds = holds and (isinstance(value, int) or math.isfinite(value))
    return decided(holds, f"{shown(value)} is {'' if holds else 'not '}{words}.")


# Scripts that do not separate words: Thai to Myanmar, Khmer, Japanese and Chinese.
_UNSEPARATED: Final = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff]")
_SINGLE_WORD: Final = re.compile(r"[0-9]++(?:[.,][0-9]++)*+|\w++(?:['’]\w++)*+")  # noqa: RUF001
# A stop in the middle of a line is certain before a capital, unless a word may be shortened.
_STOP: Final = r"""(?<![.!?…])[.!?…]++["'”’)\]]*+"""  # noqa: RUF001
_CERTAIN_STOP: Final = re.compile(
    rf"(?<=\w\w\w)(?<![Mm]rs|etc|Inc|Ltd|[Ff]ig){_STOP}(?=[ \t]++[^\Wa-zß-ÿ])|{_STOP}[ \t]*+$", re.M
)
_POSSIBLE_STOP: Final = re.compile(rf"""{_STOP}(?=\s|$)|\w["'”’)\]]{{0,9}}+$""", re.M)  # noqa: RUF001
_BULLET: Final = re.compile(r"^[ \t]{0,40}+(?:[-*•‣–·]|[0-9]{1,3}[.)])[ \t]", re.M)  # noqa: RUF001
_CERTAIN_BULLET: Final = re.compile(r"^[-*•‣–·][ \t]", re.M)  # noqa: RUF001


def _counted_words(text: str) -> tuple[int, int]:
    separated = sum(1 for word in text.split() if re.search(r"\w", word))
    return separated, len(_SINGLE_WORD.findall(text))


def _counted_characters(text: str) -> tuple[int, int]:
    # An accent may be a character of its own.
    seen = visible(text).strip()
    return sum(1 for character in seen if not unicodedata.combining(character)), len(text)


def _counted_sentences(text: str) -> tuple[int, int]:
    possible = len(_POSSIBLE_STOP.findall(text))
    return len(_CERTAIN_STOP.findall(text)) or min(1, possible), possible


def _counted_lines(text: str) -> tuple[int, int]:
    lines = text.strip().splitlines()
    return sum(1 for line in lines if line.strip()), len(lines)


def _counted_paragraphs(text: str) -> tuple[int, int]:
    lines = ["", *(line.strip() for line in text.splitlines())]
    blocks = sum(1 for above, line in itertools.pairwise(lines) if line and not above)
    # Without blank lines each line may be a paragraph.
    return blocks, blocks if blocks > 1 else sum(1 for line in lines if line)


def _counted_bullets(text: str) -> tuple[int, int]:
    # Indented bullets, and numbers instead of bullets, may count or not.
    return len(_CERTAIN_BULLET.findall(text)), len(_BULLET.findall(text))


# The lowest and the highest number that people may count.
_COUNTED: Final[dict[str, Callable[[str], tuple[int, int]]]] = {
    "word": _counted_words,
    "character": _counted_characters,
    "sentence": _counted_sentences,
    "line": _counted_lines,
    "paragraph": _counted_paragraphs,
    "bullet point": _counted_bullets,
}


def _count(unit: str, value: Any) -> tuple[int, int] | None:
    if unit in ("item", "entry") or (unit == "bullet point" and not isinstance(value, str)):
        items = only_list(value)
        return None if items is None else (len(items), len(items))
    text = "\n".join(texts(value)) if unit == "word" else only_text(value)
    if text is None or (unit in ("word", "sentence") and _UNSEPARATED.search(text)):
        return None
    return _COUNTED[unit](text)


def _check_length(sentence: Sentence, value: Any) -> Judged:
    words, low, high, is_open = _limits(sentence.parts)
    unit = sentence.parts["unit"].replace("entries", "entry").removesuffix("s")
    units = "entries" if unit == "entry" else unit + "s"
    # "Reviews have at least 5 words" may be about each of a list.
    is_list = isinstance(value, list) and not sentence.is_about_result
    count = None if is_list and unit in _COUNTED else _count(unit, value)
    if count is None or low > high:
        return decided(None, f"The number of {units} cannot be compared.")
    lowest, highest, least, most = *count, low + is_open, high - is_open
    if least <= lowest and highest <= most:
        return decided(True, f"The number of {units} is {lowest}, which is {words}.")
    if lowest > most:
        number, excess = lowest, f"{lowest - most} too many"
    elif highest < least:
        number, excess = highest, f"{least - highest} too few"
    else:
        return decided(
            None, f"There are {lowest} to {highest} {units}, depending on how one counts."
        )
    are = f"is 1 {unit}" if number == 1 else f"are {number} {units}"
    return decided(False, f"There {are}, {excess}.")


FORMS: Final = (
    form(
        rf"{SUBJECT}{BE}?(?:(?:an? )?(?:number|value) )?{_limits_of(_NUMBER)}"
        r"(?: inclusive| \(inclusive\))?",
        _check_number,
    ),
    form(rf"{SUBJECT}{BE}?(?:a )?(?P<sign>{'|'.join(_SIGNS)})(?: number)?", _check_number),
    form(
        rf"{SUBJECT}(?:{BE}|{HAVE})?{_limits_of(_WHOLE_NUMBER)} "
        r"(?P<unit>(?:word|character|sentence|line|paragraph|item|bullet point)s?|entry|entries)"
        r"(?: long| in length| in total)?",
        _check_length,
    ),
)
