"""Reading a criterion: the parts that sentences of all forms are made of."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tasks.arms.forms.verdict import Judged

# Every repetition in a pattern is bounded or possessive, so that none takes long.

# It stands for a quoted text while a sentence is matched, so what is quoted is never grammar.
MARK: Final = "\0"
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
WORD: Final = rf"(?!(?:{'|'.join(_NO_NAME)})(?![\w-]))[^\W\d][\w-]*+"
SUBJECT: Final = (
    r"(?:(?P<all>(?:every|each|all|all of) )?(?:(?:the|its|this|your|an?) )?(?:field )?"
    rf"(?P<subject>{MARK}|{WORD}(?: {WORD}){{0,3}}?)(?: field)? )??"
)
MODAL: Final = r"(?:(?:must|should|shall|has to|have to|needs? to) )?"
BE: Final = rf"(?:(?:is|are|{MODAL}be) )"
HAVE: Final = rf"(?:(?:there (?:is|are)|{MODAL}(?:has|have|contains?|includes?|uses?)) )"
NOT: Final = (
    "(?:(?:do|does|must|should|shall|may) not|doesn't|don't|mustn't|shouldn't|can ?not|must never)"
)
ALL_OF: Final = rf"{MARK}(?:(?:,? and |, ){MARK}){{0,19}}"
ANY_OF: Final = rf"{MARK}(?:(?:,? or |, ){MARK}){{0,19}}"
# A subject of one of these names may be the whole result.
WHOLE_RESULT: Final = tuple(
    "answer array content document email it json letter list message number object output reply "
    "report response result summary text value".split()
)


@dataclass(frozen=True)
class Sentence:
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


Check = Callable[[Sentence, Any], Judged]
Form = tuple[re.Pattern[str], Check]


def form(pattern: str, check: Check) -> Form:
    """Return a form; the pattern is of whole sentences in lower case, with marks for quotes."""
    return re.compile(pattern), check


def read(criterion: str, forms: Iterable[Form]) -> tuple[Sentence, Check] | None:
    """Return a criterion and the check of the first form that it has, or None if it has none."""
    sentence = " ".join(criterion.split())
    if len(sentence) > _LONGEST_SENTENCE or MARK in sentence:
        return None
    quotes = ["".join(filter(None, found.groups())) for found in _QUOTED.finditer(sentence)]
    # Some write the comma or the full stop of the sentence inside the quotation marks.
    if any(quoted.endswith((".", ",")) for quoted in quotes):
        return None
    plain = _QUOTED.sub(MARK, sentence).lower().replace("’", "'")  # noqa: RUF001
    for pattern, check in forms:
        match = pattern.fullmatch(plain.removesuffix("."))
        if match:
            parts = {name: text for name, text in match.groupdict().items() if text}
            subject = parts.get("subject", "")
            is_about_result = not subject or (subject in WHOLE_RESULT and "all" not in parts)
            if subject == MARK:
                subject = quotes.pop(0)
            return Sentence(subject, is_about_result, parts, quotes), check
    return None
