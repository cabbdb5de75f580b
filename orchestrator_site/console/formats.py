"""How the console shows the values of a task. Text of clients is always escaped."""

from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html

from tasks.states import Priority, Status, TaskVerdict

GOAL_CHARACTERS: Final = 80

# Some people cannot tell colours apart, so each label has a sign and a name too.
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
    """Return a coloured label with a sign and a name."""
    return format_html(
        '<span class="label label-{}"><span aria-hidden="true">{}</span> {}</span>',
        value.value,
        SIGNS[value],
        value.label,
    )


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago `moment` was, with the exact time as a tooltip."""
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
    """Return the beginning of the goal on one line, isolated from the text around it."""
    line = " ".join(goal.split())
    if len(line) > GOAL_CHARACTERS:
        line = f"{line[: GOAL_CHARACTERS - 1]}…"
    # Right-to-left text would otherwise reorder the text beside it.
    return format_html("<bdi>{}</bdi>", line)
