"""Find the texts in the context of a task."""

import re
from collections.abc import Iterator
from typing import Any, Final

MAX_TEXTS: Final = 1_000
FALLBACK_WORDS: Final = 3
MAX_DEPTH: Final = 10
NAME_CHARACTERS: Final = 40
MAX_WORDS_OF_A_NAME: Final = 5

# Strings of the context that are texts by the name of their field; other strings may be ids.
_TEXT_FIELDS: Final = frozenset(
    "body comment content description feedback message opinion post review text tweet".split()
)
# The orchestrator puts these into the context of a step.
_OF_ORCHESTRATOR: Final = frozenset({"planning", "repair", "results", "task_goal"})
_WORD: Final = re.compile(r"[^\W_]+")


def texts_in(context: dict[str, Any], goal: str = "") -> list[tuple[str, str]]:
    """Return the path, such as `reviews[0]`, and the text of each text in a context.

    If the goal names fields of the context, only these count. A string is a text if it stands in a
    list, or in a field such as `text`. If there are none, each string of several words is one. Of
    too many texts, it returns one more than allowed.
    """
    own = {name: value for name, value in context.items() if name not in _OF_ORCHESTRATOR}
    named = fields_named(goal, own)
    texts: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for path, text, is_text in _strings(named or own):
        if is_text:
            texts.append((path, text))
        elif len(others) <= MAX_TEXTS and len(text.split()) >= FALLBACK_WORDS:
            others.append((path, text))
        if len(texts) > MAX_TEXTS:
            break
    return texts or others


def fields_named(goal: str, context: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a context that the goal names; of two names in one place, the longer.

    A name may be in singular or plural, in any case, with spaces, `_` or `-`.
    """
    names: dict[tuple[str, ...], list[str]] = {}
    for name, value in context.items():
        if _may_hold_texts(name, value):
            names.setdefault(tuple(_words(name)), []).append(name)
    words = _words(goal)
    found: set[str] = set()
    position = 0
    while position < len(words):
        for length in range(MAX_WORDS_OF_A_NAME, 0, -1):
            # At the end of the goal a slice has fewer words, which does no harm.
            if names_here := names.get(tuple(words[position : position + length])):
                found.update(names_here)
                break
        position += length
    return {name: value for name, value in context.items() if name in found}


def _may_hold_texts(name: str, value: Any) -> bool:
    """Return whether a field counts if the goal names it: one with a number or an id does not."""
    if isinstance(value, str):
        return name.lower() in _TEXT_FIELDS or len(value.split()) >= FALLBACK_WORDS
    return value is None or isinstance(value, list | dict)


def _words(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [word.removesuffix("s") if len(word) > 2 else word for word in words]


def _strings(
    value: Any, path: str = "", depth: int = 0, *, is_text: bool = False
) -> Iterator[tuple[str, str, bool]]:
    """Yield the path and the text of each string, and whether it surely is a text."""
    if isinstance(value, str):
        if value.strip():
            yield path, value, is_text
    # Depth and names are bounded, because paths that repeat long names could take any memory.
    elif depth < MAX_DEPTH and isinstance(value, list):
        for number, part in enumerate(value):
            yield from _strings(part, f"{path}[{number}]", depth + 1, is_text=True)
    elif depth < MAX_DEPTH and isinstance(value, dict):
        start = f"{path}." if path else ""
        for name, part in value.items():
            is_sure = name.lower() in _TEXT_FIELDS
            yield from _strings(part, start + name[:NAME_CHARACTERS], depth + 1, is_text=is_sure)
