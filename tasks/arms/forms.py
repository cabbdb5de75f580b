"""Criteria that need no model: the forms of sentences that can be checked by a rule.

Upper and lower case, a final full stop and the kind of quotation marks do not matter, and a
sentence may begin with a subject. The whole sentence has to be understood. A wrong "met" is the
worst answer, so whatever is ambiguous, in the sentence or in the result, is undecided.

    Numbers        Sentiment score between -1 and 1; `score` must be at least 0.5; is not negative
    Lengths        At most 200 words; has exactly three items; is no longer than 280 characters
    JSON           Valid JSON; the output is a valid JSON object; must be a JSON array
    Phrases        The answer contains 'refund' and 'order'; must not mention "price"
    Fields         Has fields name, price and id; every item has a name and a price
    Emptiness      The summary must not be empty
    Case           The code is in upper case
    Start and end  The text starts with 'Dear'; ends with 'Regards' or 'Yours'
    Choices        The status is one of 'open', 'closed'; must be 'yes' or 'no'
    Truth          `is_spam` is false

**Subjects.** "The answer" and similar words mean the field of that name at the top of the result,
otherwise the whole result. Every other subject names a field, found without regard to case, spaces,
"_" and "-", at the top or otherwise anywhere below; "score" or "value" at its end, or its plural
"s", is dropped if there is no such field. If there are several, all have to meet the criterion.
"Every" and "all" mean those at all depths, and each item of a field that is a list. A result that
is the text of a JSON object or list is read as one to find fields and items.

**Lengths.** Words are those of a text, or of all strings and numbers of an object or list, without
its keys. Items are those of a list, or of the only list of an object. All else is counted in a
text, or in the only text of an object or list. Where people count in different ways ("well-known",
"Dr. Smith"), the verdict has to be the same for the lowest and the highest count.

**Phrases** are searched in strings and numbers, as whole words. What occurs only in a longer word
or in a key is undecided. A word without quotation marks may stand for a topic, so only its presence
decides; after "contain" and "include" it is not understood if it looks like a kind of content
("contains numbers").
"""

import contextlib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn


class CriterionVerdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judged:
    """What a rule found.

    Attributes:
        evidence: a sentence that says why, with 80 characters of foreign text at most.
    """

    verdict: CriterionVerdict
    evidence: str


def understands(criterion: str) -> bool:
    """Return whether the criterion has one of the forms."""
    return _rule(criterion) is not None


def judge(criterion: str, result: Any) -> Judged:
    """Return whether a result, any JSON value, meets the criterion.

    It is undecided if the criterion has none of the forms, or its form does not fit the result.
    """
    rule = _rule(criterion)
    if rule is None:
        return _decided(None, "No rule covers this sentence.")
    sentence, check = rule
    fields = _meant(sentence, _structured(result))
    if "all" in sentence.parts:
        # "All scores" may be one list.
        fields = [
            item for field in fields for item in (field if isinstance(field, list) else [field])
        ]
    if fields:
        return _worst(sentence.subject, [check(sentence, field) for field in fields])
    if sentence.is_about_result:
        return check(sentence, result)
    return _decided(None, f"There is no field {_quote(sentence.subject)}.")


def _worst(name: str, found: list[Judged]) -> Judged:
    """Return the worst of what was found in fields of one name, and in which."""
    order = (CriterionVerdict.NOT_MET, CriterionVerdict.UNDECIDED, CriterionVerdict.MET)
    place, worst = min(enumerate(found, 1), key=lambda item: order.index(item[1].verdict))
    where = f", {place} of {len(found)}" if len(found) > 1 else ""
    return Judged(worst.verdict, f"Field {_quote(name)}{where}: {worst.evidence}")


def _decided(is_met: bool | None, evidence: str) -> Judged:
    """Return the verdict for yes, no, or None for doubt."""
    if is_met is None:
        return Judged(CriterionVerdict.UNDECIDED, evidence)
    return Judged(CriterionVerdict.MET if is_met else CriterionVerdict.NOT_MET, evidence)


# A sentence of evidence quotes a field and one more text, so together twice as much.
_LONGEST_QUOTE: Final = 40


def _quote(text: str) -> str:
    """Quote text in one line, without characters that a database or a terminal may not take."""
    start = text[: 2 * _LONGEST_QUOTE]
    line = " ".join(start.split())
    if len(line) > _LONGEST_QUOTE or len(text) > len(start):
        line = line[: _LONGEST_QUOTE - 1] + "…"
    return '"' + "".join(c if c.isprintable() else "\ufffd" for c in line) + '"'


def _shown(number: float) -> str:
    # Python refuses to write integers of thousands of digits.
    if isinstance(number, int) and number.bit_length() > 64:
        return f"{'-' if number < 0 else ''}~2^{number.bit_length()}"
    return str(number)


# Sentences. Every repetition in a pattern is bounded or possessive, so that none takes long.

# It stands for a quoted text while a sentence is matched, so what is quoted is never grammar.
_MARK: Final = "\0"
_LONGEST_SENTENCE: Final = 2000
_QUOTED: Final = re.compile(
    r"""(?<![^\s(,])(?:'(\S.{0,200}?)'|"(\S.{0,200}?)"|`(\S.{0,200}?)`|[“„”](\S.{0,200}?)[“”]"""
    r"""|[‘‚’](\S.{0,200}?)[‘’]|«(\S.{0,200}?)»)(?![^\s),.])"""  # noqa: RUF001
)
# No name has these words, so that "must not be" is never a part of one.
_NO_NAME: Final = (
    "a all an and any are at average be between but can cannot contain contains could do does each "
    "either every except exactly few had has have if include includes is least may mention "
    "mentions might most must neither never no none nor not one only or shall should some than "
    "that the then unless was were when which who will with without would"
).split()
_WORD: Final = rf"(?!(?:{'|'.join(_NO_NAME)})(?![\w-]))[^\W\d][\w-]*+"
_SUBJECT: Final = (
    r"(?:(?P<all>(?:every|each|all|all of) )?(?:(?:the|its|this|your|an?) )?(?:field )?"
    rf"(?P<subject>{_MARK}|{_WORD}(?: {_WORD}){{0,3}}?)(?: field)? )??"
)
_MODAL: Final = r"(?:(?:must|should|shall|has to|have to|needs? to) )?"
_BE: Final = rf"(?:(?:is|are|{_MODAL}be) )"
_HAVE: Final = rf"(?:(?:there (?:is|are)|{_MODAL}(?:has|have|contains?|includes?|uses?)) )"
_NOT: Final = (
    "(?:(?:do|does|must|should|shall|may) not|doesn't|don't|mustn't|shouldn't|can ?not|must never)"
)
_ALL_OF: Final = rf"{_MARK}(?:(?:,? and |, ){_MARK}){{0,19}}"
_ANY_OF: Final = rf"{_MARK}(?:(?:,? or |, ){_MARK}){{0,19}}"
_KIND: Final = r"(?:(?:the )?(?P<kind>words?|terms?|phrases?|strings?|texts?) )?"
# These words mean what they name, and so do most plurals.
_CONTENT: Final = (
    "(?!(?:abuse|advice|bias|code|context|css|csv|detail|emoji|english|everything|evidence|filler|"
    "html|humou?r|information|jargon|json|latex|markdown|metadata|nothing|pii|plagiarism|"
    "profanity|punctuation|sarcasm|slang|something|spam|sql|text|violence|whitespace|xml|yaml)(?!\\w))"
)
_FIELD_NAME: Final = rf"(?:an? |the )?(?:{_MARK}|{_WORD}(?: {_WORD}){{0,2}})"
_FIELD_NAMES: Final = rf"(?P<names>{_FIELD_NAME}(?:(?:,? and |, ){_FIELD_NAME}){{0,9}})"
_WHOLE_RESULT: Final = frozenset(
    "answer array content document email it json letter list message number object output reply "
    "report response result summary text value".split()
)


@dataclass(frozen=True)
class _Sentence:
    """A sentence that has the pattern of a form.

    Attributes:
        subject: the name of a field, or "" if there is none.
        parts: the named groups of the pattern.
        quotes: the quoted texts after the subject.
    """

    subject: str
    is_about_result: bool
    parts: dict[str, str]
    quotes: list[str]


_Check = Callable[[_Sentence, Any], Judged]


def _rule(criterion: str) -> tuple[_Sentence, _Check] | None:
    """Return a criterion and the check of its form, or None if it has no form."""
    sentence = " ".join(criterion.split())
    if len(sentence) > _LONGEST_SENTENCE or _MARK in sentence:
        return None
    quotes = ["".join(filter(None, found.groups())) for found in _QUOTED.finditer(sentence)]
    plain = _QUOTED.sub(_MARK, sentence).lower().replace("’", "'")  # noqa: RUF001
    # Some write the full stop of the sentence inside the quotation marks.
    if plain.endswith(_MARK) and quotes[-1].endswith((".", ",")):
        return None
    for pattern, check in _FORMS:
        match = pattern.fullmatch(plain.removesuffix("."))
        if match:
            parts = {name: text for name, text in match.groupdict().items() if text}
            subject = parts.get("subject", "")
            is_about_result = not subject or (subject in _WHOLE_RESULT and "all" not in parts)
            if subject == _MARK:
                subject = quotes.pop(0)
            return _Sentence(subject, is_about_result, parts, quotes), check
    return None


# Reading results. Nothing here recurses, because results may be nested deeply.


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _children(value: Any) -> list[tuple[str, Any]]:
    """Return the keys and values of an object, or the items of a list, which have no keys."""
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()]
    return [("", item) for item in value] if isinstance(value, list) else []


def _walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value and all that is in it with their keys, in their order.

    What is inside a field of that name is left out, so that each part of a result is checked once,
    however deeply fields of one name are nested.
    """
    waiting = [("", value)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if not name or _normalised(key) != name:
            waiting.extend(reversed(_children(value)))


def _leaves(value: Any) -> list[Any]:
    return [item for _, item in _walk(value) if not isinstance(item, dict | list)]


def _texts(value: Any) -> list[str]:
    """Return the strings and numbers in a value."""
    leaves = [leaf for leaf in _leaves(value) if isinstance(leaf, str) or _is_number(leaf)]
    return [leaf if isinstance(leaf, str) else _shown(leaf) for leaf in leaves]


def _normalised(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


def _meant(sentence: _Sentence, result: Any) -> list[Any]:
    """Return the fields that a sentence is about."""
    first, _, last = sentence.subject.casefold().rpartition(" ")
    shorter = first if last in ("score", "scores", "value", "values") else ""
    # A quoted name may have no letters at all.
    names = (sentence.subject, shorter, sentence.subject.casefold().removesuffix("s"))
    for name in filter(None, map(_normalised, names)):
        top = [item for key, item in _children(result) if _normalised(key) == name]
        if sentence.is_about_result or (top and "all" not in sentence.parts):
            return top
        found = [item for key, item in _walk(result, name) if _normalised(key) == name]
        if found:
            return found
    return []


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def _parsed(text: str) -> Any:
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


def _structured(value: Any) -> Any:
    """Return a text that is a JSON object or list as that, and anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            return _parsed(value)
    return value


def _only_text(value: Any) -> str | None:
    texts = [leaf for leaf in _leaves(value) if isinstance(leaf, str)]
    return texts[0] if len(texts) == 1 else None


def _only_list(value: Any) -> list[Any] | None:
    value = _structured(value)
    inside = [value] if isinstance(value, list) else [item for _, item in _children(value)]
    lists = [item for item in inside if isinstance(item, list)]
    return lists[0] if len(lists) == 1 else None


# Soft hyphens and characters without width do not make a word a different one.
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
# Normalising a long run of accents takes quadratic time.
_LONGEST_NORMALISED: Final = 256


def _folded(text: str) -> str:
    """Return text without differences in case, white space and kinds of the same character."""
    if not text.isascii():
        text = " ".join(
            unicodedata.normalize("NFKC", word) if len(word) <= _LONGEST_NORMALISED else word
            for word in text.translate(_INVISIBLE).split()
        )
    return " ".join(text.casefold().split())


# Numbers and lengths

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
    "|(?:greater|more) than or equal to",
    "at most": "at most|(?:no|not) (?:more|longer) than|up to|a maximum of|<=|≤"
    "|(?:less|fewer) than or equal to",
    "more than": "(?:more|greater|higher|larger|longer) than|above|over|>",
    "less than": "(?:less|fewer|lower|smaller|shorter) than|below|under|<",
    "exactly": "exactly|equal to|=",
}


def _limits_of(number: str) -> str:
    """Return the pattern of limits that are numbers of a pattern."""
    return (
        rf"(?:(?P<comparison>{'|'.join(_COMPARISONS.values())}) (?P<number>{number})"
        rf"|between (?P<low>{number}) and (?P<high>{number})"
        rf"|(?:in the range )?(?:from )?(?P<start>{number}) to (?P<end>{number}))"
    )


_SIGNS: Final[dict[str, tuple[str, float]]] = {
    "positive": ("more than", 0),
    "negative": ("less than", 0),
    "not negative": ("at least", 0),
    "non-negative": ("at least", 0),
}


def _number(text: str) -> float:
    """Return the number that a text is, or NaN."""
    text = text.strip().replace("−", "-").replace("+", "")  # noqa: RUF001
    if text in _NUMBER_WORDS:
        return _NUMBER_WORDS.index(text)
    if len(text) > _LONGEST_QUOTE or not re.fullmatch(_DIGITS, text):
        return math.nan
    return float(text.replace(",", "")) if "." in text else int(text.replace(",", ""))


def _limits(parts: dict[str, str]) -> tuple[str, float, float, bool]:
    """Return limits in words, the lowest and highest number, and whether these are excluded."""
    if "comparison" not in parts and "sign" not in parts:
        low = _number(parts.get("low") or parts["start"])
        high = _number(parts.get("high") or parts["end"])
        return f"between {low} and {high}", low, high, False
    if "sign" in parts:
        meaning, number = _SIGNS[parts["sign"]]
    else:
        number = _number(parts["number"])
        meaning = next(
            key for key, words in _COMPARISONS.items() if re.fullmatch(words, parts["comparison"])
        )
    low = -math.inf if meaning in ("at most", "less than") else number
    high = math.inf if meaning in ("at least", "more than") else number
    return f"{meaning} {number}", low, high, meaning in ("more than", "less than")


def _check_number(sentence: _Sentence, value: Any) -> Judged:
    words, low, high, is_open = _limits(sentence.parts)
    if sentence.is_about_result and isinstance(value, str):
        value = None if value.strip() in _NUMBER_WORDS else _number(value)
        value = None if value is None or math.isnan(value) else value
    if not _is_number(value) or low > high:
        return _decided(None, "It is not a number, or no number is within the limits.")
    holds = low < value < high if is_open else low <= value <= high
    # Neither NaN nor Infinity is ever within.
    holds = holds and (isinstance(value, int) or math.isfinite(value))
    return _decided(holds, f"{_shown(value)} is {'' if holds else 'not '}{words}.")


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


def _counted_lines(text: str) -> tuple[int, int]:
    lines = text.strip().splitlines()
    return sum(1 for line in lines if line.strip()), len(lines)


def _counted_paragraphs(text: str) -> tuple[int, int]:
    lines = ["", *(line.strip() for line in text.splitlines())]
    blocks = sum(1 for above, line in itertools.pairwise(lines) if line and not above)
    # Without blank lines each line may be a paragraph.
    return blocks, blocks if blocks > 1 else sum(1 for line in lines if line)


# The lowest and the highest number that people may count.
_COUNTED: Final[dict[str, Callable[[str], tuple[int, int]]]] = {
    "word": lambda text: (
        sum(1 for word in text.split() if re.search(r"\w", word)),
        len(_SINGLE_WORD.findall(text)),
    ),
    # An accent may be a character of its own.
    "character": lambda text: (
        len(text.strip()) - sum(map(bool, map(unicodedata.combining, text.strip()))),
        len(text),
    ),
    "sentence": lambda text: (
        len(_CERTAIN_STOP.findall(text)) or min(1, len(_POSSIBLE_STOP.findall(text))),
        len(_POSSIBLE_STOP.findall(text)),
    ),
    "line": _counted_lines,
    "paragraph": _counted_paragraphs,
    # Indented bullets, and numbers instead of bullets, may count or not.
    "bullet point": lambda text: (len(_CERTAIN_BULLET.findall(text)), len(_BULLET.findall(text))),
}


def _count(unit: str, value: Any) -> tuple[int, int] | None:
    if unit in ("item", "entry") or (unit == "bullet point" and not isinstance(value, str)):
        items = _only_list(value)
        return None if items is None else (len(items), len(items))
    text = _only_text(value)
    if unit == "word":
        text = "\n".join(_texts(value))
    if text is None or (unit in ("word", "sentence") and _UNSEPARATED.search(text)):
        return None
    return _COUNTED[unit](text)


def _check_length(sentence: _Sentence, value: Any) -> Judged:
    words, low, high, is_open = _limits(sentence.parts)
    unit = sentence.parts["unit"].replace("entries", "entry").removesuffix("s")
    units = {"entry": "entries"}.get(unit, unit + "s")
    # "Reviews have at least 5 words" may be about each of a list.
    is_list = isinstance(value, list) and not sentence.is_about_result
    count = None if is_list and unit in _COUNTED else _count(unit, value)
    if count is None or low > high:
        return _decided(None, f"The number of {units} cannot be compared.")
    lowest, highest, least, most = *count, low + is_open, high - is_open
    if least <= lowest and highest <= most:
        return _decided(True, f"The number of {units} is {lowest}, which is {words}.")
    if lowest > most or highest < least:
        number, excess = (
            (lowest, f"{lowest - most:g} too many")
            if lowest > most
            else (highest, f"{least - highest:g} too few")
        )
        are = f"is 1 {unit}" if number == 1 else f"are {number} {units}"
        return _decided(False, f"There {are}, {excess}.")
    return _decided(None, f"There are {lowest} to {highest} {units}, depending on how one counts.")


# JSON, phrases and fields


def _check_json(sentence: _Sentence, value: Any) -> Judged:
    kind = sentence.parts.get("kind", "").replace("array", "list")
    if isinstance(value, str):
        try:
            value = _parsed(value)
        except ValueError:
            return _decided(False, "The text is not valid JSON.")
        except RecursionError:
            return _decided(None, "The text is nested too deeply.")
    elif not isinstance(value, dict | list) and not kind:
        return _decided(None, "The result is a single value.")
    found = "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "value"
    return _decided(kind in ("", found), f"It is a JSON {found}.")


def _is_joined(left: str, right: str) -> bool:
    """Return whether two characters, or one and none, are parts of one word."""
    return len(left + right) == 2 and (left + right).replace("_", "x").isalnum()


def _presence(phrase: str, text: str, keys: str) -> bool | None:
    """Return whether a phrase occurs in whole words, or None if only otherwise."""
    start = text.find(phrase)
    is_part = start >= 0
    while start >= 0:
        end = start + len(phrase)
        before, after = text[max(0, start - 1) : start], text[end : end + 1]
        if not _is_joined(before, phrase[0]) and not _is_joined(phrase[-1], after):
            return True
        start = text.find(phrase, end)
    return None if is_part or phrase in keys else False


def _check_phrases(sentence: _Sentence, value: Any) -> Judged:
    parts = sentence.parts
    is_negative = "negation" in parts or "no" in parts
    # A word without quotation marks may stand for a topic.
    is_topic = "bare" in parts and "kind" not in parts
    phrases = list(map(_folded, [parts["bare"]] if "bare" in parts else sentence.quotes))
    text = "\n".join(map(_folded, _texts(value)))
    keys = "\n".join(_folded(key) for key, _ in _walk(value))
    found = {phrase: _presence(phrase, text, keys) if phrase else None for phrase in phrases}
    answers = set(found.values())
    if is_topic:
        answers = {answer or None for answer in answers}
    is_any = is_negative or "any" in parts
    is_found = _any_of(answers) if is_any else _all_of(answers)
    shown = next((phrase for phrase in phrases if found[phrase] is is_found), phrases[0])
    if is_found is None:
        return _decided(None, f"It is not certain that it contains {_quote(shown)}.")
    evidence = f"It {'contains' if is_found else 'does not contain'} {_quote(shown)}."
    return _decided(is_found is not is_negative, evidence)


def _any_of(answers: set[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def _all_of(answers: set[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def _has(item: dict[str, Any], name: str) -> bool | None:
    """Return whether an object has a field with a value, or None if that is doubtful."""
    wanted = _normalised(name)
    values = [value for key, value in item.items() if _normalised(key) == wanted]
    if values:
        return None if any(value in (None, "", [], {}) for value in values) else True
    # It may be deeper or a part of another name, and "a good name" may not be a name at all.
    is_doubtful = " " in name or any(wanted in _normalised(key) for key, _ in _walk(item))
    return None if is_doubtful else False


def _check_fields(sentence: _Sentence, value: Any) -> Judged:
    is_every = "every" in sentence.parts
    objects = _only_list(value) if is_every else [_structured(value)]
    if not objects or not all(isinstance(item, dict) for item in objects):
        return _decided(None, "There are no objects to look for fields in.")
    quotes = iter(sentence.quotes)
    names = [
        next(quotes) if name == _MARK else name
        for name in re.split(r",? and |, ", re.sub(r"\b(?:an?|the) ", "", sentence.parts["names"]))
    ]
    missing = [
        (has, f"{item_name} {'has' if has is False else 'may have'} no field {_quote(name)}.")
        for place, item in enumerate(objects, 1)
        for item_name in [f"Item {place}" if is_every else "The object"]
        for name in names
        if not (has := _has(item, name))
    ]
    if not missing:
        return _decided(True, f"All fields are there, such as {_quote(names[0])}.")
    return _decided(*min(missing, key=lambda fault: fault[0] is None))


# Texts and single values


def _check_not_empty(_: _Sentence, value: Any) -> Judged:
    if value is None or value in ([], {}) or (isinstance(value, str) and not _folded(value)):
        return _decided(False, "It is empty.")
    if all(leaf is None or leaf == "" for leaf in _leaves(value)):
        return _decided(None, "It has only empty parts.")
    return _decided(True, "It is not empty.")


def _check_case(sentence: _Sentence, value: Any) -> Judged:
    case = sentence.parts["case"]
    words = " ".join(leaf for leaf in _leaves(value) if isinstance(leaf, str)).split()
    if all(word.lower() == word.upper() for word in words):
        return _decided(None, "There are no letters.")
    wrong = [word for word in words if word != (word.lower() if case == "lower" else word.upper())]
    if wrong:
        return _decided(False, f"{_quote(wrong[0])} is not in {case} case.")
    return _decided(True, f"All letters are in {case} case.")


def _check_end(sentence: _Sentence, value: Any) -> Judged:
    text = _only_text(value)
    if text is None:
        return _decided(None, "There is not exactly one text.")
    text, is_start = " ".join(text.split()), sentence.parts["end"] != "end"
    answers: set[bool | None] = set()
    for quoted in sentence.quotes:
        size = len(quoted)
        end = text[:size] if is_start else text[-size:]
        rest = text[size : size + 1] if is_start else text[: -size or None][-1:]
        joined = _is_joined(quoted[-1], rest) if is_start else _is_joined(rest, quoted[0])
        is_same = _folded(end) == _folded(quoted)
        answers.add(is_same and (None if joined or end != quoted else True))
    shown = text if is_start else text[2 - _LONGEST_QUOTE :]
    evidence = f"It {'starts' if is_start else 'ends'} with {_quote(shown)}."
    return _decided(_any_of(answers), evidence)


def _check_choice(sentence: _Sentence, value: Any) -> Judged:
    if not isinstance(value, str):
        return _decided(None, "It is not a text.")
    if value.strip() in sentence.quotes:
        return _decided(True, f"It is {_quote(value)}.")
    # "Yes." may be as good as "yes".
    bare = {_folded(quoted).strip(" .!") for quoted in sentence.quotes}
    is_close = _folded(value).strip(" .!\"'") in bare
    return _decided(None if is_close else False, f"It is {_quote(value)}.")


def _check_truth(sentence: _Sentence, value: Any) -> Judged:
    if not isinstance(value, bool):
        return _decided(None, "It is neither true nor false.")
    return _decided(value is (sentence.parts["truth"] == "true"), f"It is {str(value).lower()}.")


_PATTERNS: Final[tuple[tuple[str, _Check], ...]] = (
    (
        rf"{_SUBJECT}{_BE}?(?:(?:an? )?(?:number|value) )?{_limits_of(_NUMBER)}"
        r"(?: inclusive| \(inclusive\))?",
        _check_number,
    ),
    (rf"{_SUBJECT}{_BE}?(?:a )?(?P<sign>{'|'.join(_SIGNS)})(?: number)?", _check_number),
    (
        rf"{_SUBJECT}(?:{_BE}|{_HAVE})?{_limits_of(_WHOLE_NUMBER)} "
        r"(?P<unit>(?:word|character|sentence|line|paragraph|item|bullet point)s?|entry|entries)"
        r"(?: long| in length| in total)?",
        _check_length,
    ),
    (rf"{_SUBJECT}{_BE}?(?:an? )?(?:valid )?json(?: (?P<kind>object|array|list))?", _check_json),
    (
        rf"{_SUBJECT}(?:(?P<negation>{_NOT}) |{_MODAL})(?:contain|mention|include)s? {_KIND}"
        rf"(?:(?(negation)(?!)|(?:both )?{_ALL_OF})|(?:either )?(?P<any>{_ANY_OF}))",
        _check_phrases,
    ),
    (rf"{_SUBJECT}(?:contain|mention|include)s? (?P<no>no ){_KIND}{_ANY_OF}", _check_phrases),
    (
        rf"{_SUBJECT}(?:(?P<negation>{_NOT}) |{_MODAL})"
        r"(?:(?:contain|mention|include)s? the (?P<kind>word|term) (?!count|limit|order)"
        rf"|(?:mentions?|(?:contain|include)s?(?! \S*s$)) {_CONTENT})(?P<bare>{_WORD})",
        _check_phrases,
    ),
    (
        rf"{_SUBJECT}{_HAVE}(?:an? |the )?(?:fields?|keys?(?= {_MARK})) "
        rf"(?:called |named )?{_FIELD_NAMES}",
        _check_fields,
    ),
    (
        rf"(?P<every>(?:every|each) (?:item|entry|object|element|row|record)) {_MODAL}"
        rf"(?:has|have) {_FIELD_NAMES}",
        _check_fields,
    ),
    (
        rf"{_SUBJECT}(?:{_BE}?(?:not empty|non-empty)|(?:must|should|shall|may) not be empty)",
        _check_not_empty,
    ),
    (
        rf"{_SUBJECT}{_BE}?(?:written )?(?:in |all )?(?P<case>lower|upper)[ -]?case(?: letters)?",
        _check_case,
    ),
    (rf"{_SUBJECT}{_MODAL}(?P<end>start|begin|end)s? with {_KIND}{_ANY_OF}", _check_end),
    (
        rf"{_SUBJECT}{_BE}(?:one of:? {_MARK}(?:(?:,? (?:and|or) |, ){_MARK}){{0,19}}"
        rf"|(?:either )?{_MARK}(?:(?:, {_MARK}){{0,18}},? or {_MARK})?)",
        _check_choice,
    ),
    # "The answer is true" is about the world, so this form needs the name of a field.
    (
        rf"(?!(?:\w+ )?(?:{'|'.join(sorted(_WHOLE_RESULT))}) ){_SUBJECT}(?<= ){_BE}(?:set to )?"
        r"(?P<truth>true|false)",
        _check_truth,
    ),
)
_FORMS: Final = tuple((re.compile(pattern), check) for pattern, check in _PATTERNS)
