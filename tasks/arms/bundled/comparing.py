"""Compare the sentiments that earlier steps of a plan found."""

import re
from statistics import fmean
from typing import Any, Final

from tasks.arms.bundled.request import Unable
from tasks.arms.bundled.sentiment import DECIMALS

EXAMPLE: Final = (
    "1. Find the sentiment of the reviews. 2. Find the sentiment of the comments. "
    "3. Then compare the results."
)
NO_RESULTS: Final = (
    "There are no results to compare: this arm compares the sentiments that earlier steps of a "
    f'plan found. Ask for these in the goal too, for example "{EXAMPLE}"'
)

_ASKS: Final = re.compile(
    r"\b(aggregate|combine|compare|contrast|summari[sz]e|sum up)\b"
    r"|\b(comparison|overview|summary) of (all|both|the|these)\b"
    r"|\bwhich (of (both|them|these) |one )?(is|has|are|was)\b"
    r"( the)?( more| most| less| least)? ?(best|better|higher|highest|lower|lowest|negative"
    r"|positive|worse|worst)\b",
    re.IGNORECASE,
)


def asks_to_compare(goal: str) -> bool:
    return _ASKS.search(goal) is not None


def sentiments_in(results: dict[int, Any]) -> dict[int, float]:
    """Return the sentiment of each result that has one, by step number."""
    return {
        step: result["sentiment"]
        for step, result in results.items()
        if isinstance(result, dict) and _is_sentiment(result.get("sentiment"))
    }


def compare(sentiments: dict[int, float]) -> dict[str, Any]:
    """Return the mean of the sentiments, their extremes, and how many there are.

    Raises:
        Unable: there are none.
    """
    if not sentiments:
        raise Unable(NO_RESULTS)
    highest = max(sentiments, key=lambda step: sentiments[step])
    lowest = min(sentiments, key=lambda step: sentiments[step])
    return {
        "sentiment": round(fmean(sentiments.values()), DECIMALS),
        "most_positive": {"step": highest, "sentiment": sentiments[highest]},
        "most_negative": {"step": lowest, "sentiment": sentiments[lowest]},
        "steps": len(sentiments),
    }


def _is_sentiment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1
