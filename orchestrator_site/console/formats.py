"""How the console shows the values of a task. What clients wrote is always escaped."""

from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html

from tasks.states import Priority, Status, TaskVerdict

GOAL_CHARACTERS: Final = 80

# A colour alone says nothing to who does not see it; each label has a sign and its name too.
SIGNS: Final[dict[Status | Priority | TaskVerdict, str]] = {
    Status.PENDING: "○",
    Status.PROCESSING: "◐",
    Status.COMPLETED: "✓",
    Status.FAILED: "✕",
    Status.CANCELLED: "⊘",
    Priority.LOW: "▽",
    Priority.MEDIUM: "◇",
    Priority.HIGH: "△",
    Priority.CRITICAL: "▲",
    TaskVerdict.SAFE: "✓",
    TaskVerdict.FLAGGED: "⚑",
    TaskVerdict.UNSCREENED: "?",
}


def label(value: Status | Priority | TaskVerdict) -> str:
    """Return a coloured label with sign and name."""
    return format_html(
        '<span class="label label-{}"><span aria-hidden="true">{}</span> {}</span>',
        value.value,
        SIGNS[value],
        value.label,
    )


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago `moment` was, with the exact time to be pointed at."""
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}",
        _in_short(now - moment),
    )


def _in_short(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    if minutes < 1:
        return "< 1 min"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 24 else f"{hours // 24} d"


def shortened(goal: str) -> str:
    """Return the goal's beginning on one line, of which nothing reaches outside of it."""
    line = " ".join(goal.split())
    if len(line) > GOAL_CHARACTERS:
        line = f"{line[: GOAL_CHARACTERS - 1]}…"
    # Text that runs from right to left would turn around what stands beside it.
    return format_html("<bdi>{}</bdi>", line)
