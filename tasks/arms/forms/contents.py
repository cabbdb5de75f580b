"""What is in a result: JSON, phrases, fields, and single values."""

import re
import unicodedata
from typing import Any, Final

from tasks.arms.forms.results import (
    children,
    folded,
    is_empty,
    leaves,
    normalised,
    only_list,
    only_text,
    parsed,
    strings,
    structured,
    texts,
    walk,
)
from tasks.arms.forms.sentences import (
    ALL_OF,
    ANY_OF,
    BE,
    HAVE,
    MARK,
    MODAL,
    NOT,
    SUBJECT,
    WHOLE_RESULT,
    WORD,
    Sentence,
    form,
)
from tasks.arms.forms.verdict import LONGEST_QUOTE, Judged, decided, quote

_KIND: Final = r"(?:(?:the )?(?:words?|terms?|phrases?|strings?|texts?) )?"
# These words mean what they name, and so do most plurals.
_CONTENT: Final = (
    "(?!(?:abuse|advice|bias|code|context|css|csv|detail|emoji|english|everything|evidence|filler|"
    "html|humou?r|information|jargon|json|latex|markdown|metadata|nothing|pii|plagiarism|"
    "profanity|punctuation|sarcasm|slang|something|spam|sql|text|violence|whitespace|xml|yaml)(?!\\w))"
)
_FIELD_NAME: Final = rf"(?:an? |the )?(?:{MARK}|{WORD}(?: {WORD}){{0,2}})"
_FIELD_NAMES: Final = rf"(?P<names>{_FIELD_NAME}(?:(?:,? and |, ){_FIELD_NAME}){{0,9}})"


def _any_of(answers: set[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def _all_of(answers: set[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def _is_joined(left: str, right: str) -> bool:
    """Return whether two characters, or one and none, are parts of one word."""
    return bool(left and right) and all(
        # Vowels of some scripts are marks.
        character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
        for character in (left, right)
    )


def _check_json(sentence: Sentence, value: Any) -> Judged:
    kind = sentence.parts.get("kind", "").replace("array", "list")
    if isinstance(value, str):
        try:
            value = parsed(value)
        except ValueError:
            return decided(False, "The text is not valid JSON.")
        except RecursionError:
            return decided(None, "The text is nested too deeply.")
    elif not isinstance(value, dict | list) and not kind:
        return decided(None, "The result is a single value.")
    found = "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "value"
    return decided(kind in ("", found), f"It is a JSON {found}.")


def _presence(phrase: str, text: str, keys: str) -> bool | None:
    """Return whether a phrase occurs in whole words, or None if only otherwise."""
    if not phrase:
        return None
    start = text.find(phrase)
    is_part = start >= 0
    while start >= 0:
        end = start + len(phrase)
        before, after = text[max(0, start - 1) : start], text[end : end + 1]
        if not _is_joined(before, phrase[0]) and not _is_joined(phrase[-1], after):
            return True
        start = text.find(phrase, end)
    return None if is_part or phrase in keys else False


def _check_phrases(sentence: Sentence, value: Any) -> Judged:
    parts = sentence.parts
    is_negative = "negation" in parts
    word = parts.get("word") or parts.get("topic")
    phrases = list(map(folded, [word] if word else sentence.quotes))
    text = "\n".join(map(folded, texts(value)))
    keys = "\n".join(folded(key) for key, _ in walk(value))
    found = {phrase: _presence(phrase, text, keys) for phrase in phrases}
    if "topic" in parts:
        # A topic may be there in other words.
        found = {phrase: answer or None for phrase, answer in found.items()}
    is_any = is_negative or "any" in parts
    is_found = (_any_of if is_any else _all_of)(set(found.values()))
    example = quote(next(phrase for phrase in phrases if found[phrase] is is_found))
    if is_found is None:
        return decided(None, f"It is not certain that it contains {example}.")
    evidence = f"It {'contains' if is_found else 'does not contain'} {example}."
    return decided(is_found is not is_negative, evidence)


def _has(item: dict[str, Any], name: str) -> bool | None:
    """Return whether an object has a field with a value, or None if that is doubtful."""
    wanted = normalised(name)
    values = [value for key, value in children(item) if normalised(key) == wanted]
    if values:
        return None if any(map(is_empty, values)) else True
    # It may be deeper or a part of another name, and "a good name" may not be a name at all.
    is_doubtful = " " in name or any(wanted in normalised(key) for key, _ in walk(item))
    return None if is_doubtful else False


def _check_fields(sentence: Sentence, value: Any) -> Judged:
    is_every = "every" in sentence.parts
    objects = only_list(value) if is_every else [structured(value)]
    if not objects or not all(isinstance(item, dict) for item in objects):
        return decided(None, "There are no objects to look for fields in.")
    quotes = iter(sentence.quotes)
    names = [
        next(quotes) if name == MARK else name
        for name in re.split(r",? and |, ", re.sub(r"\b(?:an?|the) ", "", sentence.parts["names"]))
    ]
    missing = [
        (has, f"{item_name} {'has' if has is False else 'may have'} no field {quote(name)}.")
        for place, item in enumerate(objects, 1)
        for item_name in [f"Item {place}" if is_every else "The object"]
        for name in names
        if not (has := _has(item, name))
    ]
    if not missing:
        return decided(True, f"All fields are there, such as {quote(names[0])}.")
    return decided(*min(missing, key=lambda fault: fault[0] is None))


def _check_not_empty(_: Sentence, value: Any) -> Judged:
    if is_empty(value):
        return decided(False, "It is empty.")
    if all(map(is_empty, leaves(value))):
        return decided(None, "It has only empty parts.")
    return decided(True, "It is not empty.")


def _check_case(sentence: Sentence, value: Any) -> Judged:
    case = sentence.parts["case"]
    convert = str.lower if case == "lower" else str.upper
    words = " ".join(strings(value)).split()
    if all(word.lower() == word.upper() for word in words):
        return decided(None, "There are no letters.")
    wrong = next((word for word in words if word != convert(word)), None)
    if wrong is not None:
        return decided(False, f"{quote(wrong)} is not in {case} case.")
    return decided(True, f"All letters are in {case} case.")


def _has_end(text: str, end: str, is_start: bool) -> bool | None:
    """Return whether a text starts or ends with a text, or None if it is similar."""
    if is_start:
        is_similar, is_same = folded(text).startswith(folded(end)), text.startswith(end)
        is_part = _is_joined(end[-1], text[len(end) : len(end) + 1])
    else:
        is_similar, is_same = folded(text).endswith(folded(end)), text.endswith(end)
        is_part = _is_joined(text[: -len(end)][-1:], end[0])
    return is_similar and (True if is_same and not is_part else None)


def _check_end(sentence: Sentence, value: Any) -> Judged:
    text = only_text(value)
    if text is None:
        return decided(None, "There is not exactly one text.")
    text, is_start = " ".join(text.split()), sentence.parts["end"] != "end"
    shown = text if is_start else text[2 - LONGEST_QUOTE :]
    return decided(
        _any_of({_has_end(text, quoted, is_start) for quoted in sentence.quotes}),
        f"It {'starts' if is_start else 'ends'} with {quote(shown)}.",
    )


def _check_choice(sentence: Sentence, value: Any) -> Judged:
    if not isinstance(value, str):
        return decided(None, "It is not a text.")
    if value.strip() in sentence.quotes:
        return decided(True, f"It is {quote(value)}.")
    # "Yes." may be as good as "yes".
    bare = {folded(quoted).strip(" .!") for quoted in sentence.quotes}
    is_close = folded(value).strip(" .!\"'") in bare
    return decided(None if is_close else False, f"It is {quote(value)}.")


def _check_truth(sentence: Sentence, value: Any) -> Judged:
    if not isinstance(value, bool):
        return decided(None, "It is neither true nor false.")
    return decided(value is (sentence.parts["truth"] == "true"), f"It is {str(value).lower()}.")


FORMS: Final = (
    form(rf"{SUBJECT}{BE}?(?:an? )?(?:valid )?json(?: (?P<kind>object|array|list))?", _check_json),
    form(
        rf"{SUBJECT}(?:(?P<negation>{NOT}) |{MODAL})(?:contain|mention|include)s? {_KIND}"
        rf"(?:(?(negation)(?!)|(?:both )?{ALL_OF})|(?:either )?(?P<any>{ANY_OF}))",
        _check_phrases,
    ),
    form(
        rf"{SUBJECT}(?:contain|mention|include)s? (?P<negation>no ){_KIND}{ANY_OF}", _check_phrases
    ),
    form(
        rf"{SUBJECT}(?:(?P<negation>{NOT}) |{MODAL})"
        rf"(?:(?:contain|mention|include)s? the (?:word|term) (?!count|limit|order)(?P<word>{WORD})"
        rf"|(?:mentions?|(?:contain|include)s?(?! \S*s$)) {_CONTENT}(?P<topic>{WORD}))",
        _check_phrases,
    ),
    form(
        rf"{SUBJECT}{HAVE}(?:an? |the )?(?:fields?|keys?(?= {MARK})) "
        rf"(?:called |named )?{_FIELD_NAMES}",
        _check_fields,
    ),
    form(
        rf"(?P<every>(?:every|each) (?:item|entry|object|element|row|record)) {MODAL}"
        rf"(?:has|have) {_FIELD_NAMES}",
        _check_fields,
    ),
    form(
        rf"{SUBJECT}(?:{BE}?(?:not empty|non-empty)|(?:must|should|shall|may) not be empty)",
        _check_not_empty,
    ),
    form(
        rf"{SUBJECT}{BE}?(?:written )?(?:in |all )?(?P<case>lower|upper)[ -]?case(?: letters)?",
        _check_case,
    ),
    form(rf"{SUBJECT}{MODAL}(?P<end>start|begin|end)s? with {_KIND}{ANY_OF}", _check_end),
    form(
        rf"{SUBJECT}{BE}(?:one of:? {MARK}(?:(?:,? (?:and|or) |, ){MARK}){{0,19}}"
        rf"|(?:either )?{MARK}(?:(?:, {MARK}){{0,18}},? or {MARK})?)",
        _check_choice,
    ),
    # "The answer is true" is about the world, so this form needs the name of a field.
    form(
        rf"(?!(?:\w+ )?(?:{'|'.join(WHOLE_RESULT)}) ){SUBJECT}(?<= ){BE}(?:set to )?"
        r"(?P<truth>true|false)",
        _check_truth,
    ),
)
