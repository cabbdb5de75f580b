"""How the console shows the values of a task. Text of clients is always escaped."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils.html import format_html

from tasks.execution.failures import FailureCode
from tasks.models.client import MAX_NAME_CHARACTERS
from tasks.states import Priority, Status, StepState, TaskVerdict

GOAL_CHARACTERS: Final = 80

# Some people cannot tell colours apart, so each label has a sign and a name too.
Shown = Status | Priority | TaskVerdict | StepState
SIGNS: Final[dict[Shown, str]] = {
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
    StepState.WAITING: "◌",
    StepState.READY: "○",
    StepState.RUNNING: "◐",
    StepState.DONE: "✓",
}


def label(value: Shown) -> str:
    """Return a coloured label with a sign and a name."""
    return labelled(value.value, SIGNS[value], str(value.label))


def labelled(colour: str, sign: str, name: str) -> str:
    """Return a label in the colour of a status, priority or verdict."""
    return format_html(
        '<span class="label label-{}"><span aria-hidden="true">{}</span> {}</span>',
        colour,
        sign,
        name,
    )


def failure_name(code: FailureCode) -> str:
    """Return the code as words, such as `Arm failed`."""
    return code.value.replace("_", " ").capitalize()


def dollars(usd: Decimal) -> str:
    """Return an amount with two decimals, and more only if it is less than a dollar."""
    return f"{usd:.2f}" if usd >= 1 or usd == 0 else f"{usd:.6f}".rstrip("0").ljust(4, "0")


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


def short_name(name: str) -> str:
    """Return the name of a client, without its middle if no staff could have given one so long."""
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    # Subjects of one issuer often differ only at the end.
    half = MAX_NAME_CHARACTERS // 2
    return f"{name[:half]}…{name[1 - half :]}"


def as_list(value: Any) -> list[Any]:
    """Return a list as it is; SQL can store other values than the API."""
    return value if isinstance(value, list) else [value]
