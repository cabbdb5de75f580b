"""The sentiment of the texts in a task, by a lexicon and some rules (VADER), for English."""

import re
from statistics import fmean
from typing import Any, Final

from vader import polarity_scores

from tasks.arms.bundled.request import Task, Unable
from tasks.arms.bundled.texts import MAX_TEXTS, texts_in

# VADER scores short texts, and its time grows with the square of a run of exclamation marks.
PIECE_CHARACTERS: Final = 2_000
# The limits that the authors of VADER use.
POSITIVE_FROM: Final = 0.05
NEGATIVE_UP_TO: Final = -0.05
DECIMALS: Final = 4

EXAMPLE: Final = '{"reviews": ["I love it.", "It broke after two days."]}'
NO_TEXTS: Final = (
    "There is no text in the context, or in the fields of it that the goal names. Put texts into "
    f"it, for example {EXAMPLE}."
)

_SENTENCE_END: Final = re.compile(r"[.!?\n]")
_VERB: Final = re.compile(
    r"\b(analy[sz]e|analy[sz]ing|assess|calculate|classify|compute|detect|determine|evaluate"
    r"|extract|find|get|give|identify|judge|measure|rate|score|tell|what)\b",
    re.IGNORECASE,
)
_SENTIMENT: Final = re.compile(r"\bsentiments?\b", re.IGNORECASE)
_SENTIMENT_SCORE: Final = re.compile(
    r"\bsentiments?[ -](analysis|scores?|ratings?|values?)\b", re.IGNORECASE
)


def asks_for_sentiment(goal: str) -> bool:
    if _SENTIMENT_SCORE.search(goal):
        return True
    # One pattern for both words would take time that grows with the square of the length.
    for sentence in _SENTENCE_END.split(goal):
        verb = _VERB.search(sentence)
        if verb and _SENTIMENT.search(sentence, verb.end()):
            return True
    return False


def find_sentiment(task: Task) -> dict[str, Any]:
    """Return the sentiment of each text and of all, from -1 to 1.

    Raises:
        Unable: there are no texts, or too many.
    """
    texts = texts_in(task.context, task.goal)
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
