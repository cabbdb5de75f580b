"""The sentiment of the texts in a task, by a lexicon and some rules (VADER), for English."""

import re
from collections.abc import Iterator
from statistics import fmean
from typing import Any, Final

from vader import polarity_scores

from tasks.arms.bundled.request import Task, Unable

MAX_TEXTS: Final = 1_000
# VADER scores short texts, and its time grows with the square of a run of exclamation marks.
PIECE_CHARACTERS: Final = 2_000
# The limits that the authors of VADER use.
POSITIVE_FROM: Final = 0.05
NEGATIVE_UP_TO: Final = -0.05
DECIMALS: Final = 4
FALLBACK_WORDS: Final = 3
MAX_DEPTH: Final = 10
NAME_CHARACTERS: Final = 40

EXAMPLE: Final = '{"reviews": ["I love it.", "It broke after two days."]}'
HELP: Final = (
    "This arm only finds the sentiment of texts. Say so in the goal, for example "
    '"Analyze sentiment of user reviews", and put the texts into the context, for example '
    f"{EXAMPLE}. For other tasks connect a model, for example with "
    "ORCHESTRATOR_ARMS=model=openai+http://localhost:11434/v1?model=llama3.2 (docs/arms.md)."
)
NO_TEXTS: Final = f"There is no text in the context. Put texts into it, for example {EXAMPLE}."

_ASKS: Final = re.compile(
    r"\bsentiments?[ -](analysis|scores?|ratings?|values?)\b"
    r"|\b(analy[sz]e|analy[sz]ing|assess|calculate|classify|compute|detect|determine|evaluate"
    r"|extract|find|get|give|identify|judge|measure|rate|score|tell|what)\b[^.!?\n]*\bsentiments?\b",
    re.IGNORECASE,
)
# Strings of the context that are texts by the name of their field; other strings may be ids.
_TEXT_FIELDS: Final = frozenset(
    "body comment content description feedback message opinion post review text tweet".split()
)


def find_sentiment(task: Task) -> dict[str, Any]:
    """Return the sentiment of each text and of all, from -1 to 1.

    Raises:
        Unable: the goal asks for something else, or there are no texts, or too many.
    """
    if not _ASKS.search(task.goal):
        raise Unable(HELP)
    texts = texts_in(task.context)
    if not texts:
        raise Unable(NO_TEXTS)
    if len(texts) > MAX_TEXTS:
        raise Unable(f"The context has too many texts; this arm takes {MAX_TEXTS} at most.")
    scores = [(path, sentiment_of(text)) for path, text in texts]
    values = [score for _, score in scores]
    positive = sum(value >= POSITIVE_FROM for value in values)
    negative = sum(value <= NEGATIVE_UP_TO for value in values)
    return {
        "sentiment": round(fmean(values), DECIMALS),
        "texts": [{"path": path, "sentiment": score} for path, score in scores],
        "positive": positive,
        "neutral": len(values) - positive - negative,
        "negative": negative,
    }


def sentiment_of(text: str) -> float:
    """Return the sentiment of a text from -1 to 1; that of a long one is the mean of its pieces."""
    pieces = [
        text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS)
    ]
    scores = [polarity_scores(piece)["compound"] for piece in pieces]
    return round(fmean(scores, [len(piece) for piece in pieces]), DECIMALS)


def texts_in(context: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the path, such as `reviews[0]`, and the text of each text in a context.

    A string is a text if it stands in a list, or in a field such as `text`. If there are none,
    each string of several words is one. Of too many texts, it returns one more than allowed.
    """
    texts: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for path, text, is_text in _strings(context):
        if is_text:
            texts.append((path, text))
        elif len(others) <= MAX_TEXTS and len(text.split()) >= FALLBACK_WORDS:
            others.append((path, text))
        if len(texts) > MAX_TEXTS:
            break
    return texts or others


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
