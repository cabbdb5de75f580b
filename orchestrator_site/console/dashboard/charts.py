"""The geometry of charts: positions and sizes of their bars.

`x` and `width` are in per cent, because a chart is as wide as the page allows. `y` and `height` are
in pixels. Text has the same size on every screen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PLOT_HEIGHT: Final = 160
# So that even the smallest bar is visible beside much larger ones.
LEAST_HEIGHT: Final = 2
LEAST_WIDTH: Final = 1
# The part of a slot that its column fills; the rest is the gap between columns.
COLUMN_SHARE: Final = 0.76
MOST_STEPS: Final = 4


@dataclass(frozen=True)
class Part:
    """The share of one series in a column."""

    series: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One place on the time axis.

    Attributes:
        slot_x, slot_width: the whole slot, which reacts to the pointer.
        parts: from the bottom up, without empty ones.
    """

    slot_x: float
    slot_width: float
    x: float
    width: float
    middle: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Tick:
    y: float
    label: str


@dataclass(frozen=True)
class ColumnChart:
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    height: int = PLOT_HEIGHT


def column_chart(stacks: Sequence[Mapping[str, int]]) -> ColumnChart:
    """Draw a column for each of `stacks`, with its series stacked in their order."""
    step, top = _scale(max((sum(stack.values()) for stack in stacks), default=0))
    slot = 100 / max(len(stacks), 1)
    return ColumnChart(
        columns=tuple(_column(place, slot, stack, top) for place, stack in enumerate(stacks)),
        ticks=tuple(
            Tick(round(PLOT_HEIGHT * (1 - value / top), 1), in_short(value))
            for value in range(0, top + 1, step)
        ),
    )


def bar_width(count: float, most: float) -> float:
    """Return the length of a horizontal bar in per cent, if `most` fills the whole width."""
    return max(LEAST_WIDTH, round(100 * count / most, 2)) if count else 0


def in_short(number: int) -> str:
    """Return a round number with at most a few digits: 500, 1.5k, 20M."""
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{sign}"
    return str(number)


def _scale(most: int) -> tuple[int, int]:
    """Return a round step between ticks, and the highest tick, which is at least `most`."""
    power = 10 ** max(0, math.floor(math.log10(max(most, 1))) - 1)
    step = next(step * power for step in (1, 2, 5, 10, 20, 50) if most <= MOST_STEPS * step * power)
    return step, step * max(1, math.ceil(most / step))


def _column(place: int, slot: float, stack: Mapping[str, int], top: int) -> Column:
    parts, y = [], float(PLOT_HEIGHT)
    for series, count in stack.items():
        if count:
            height = max(LEAST_HEIGHT, round(PLOT_HEIGHT * count / top, 1))
            y = round(y - height, 1)
            parts.append(Part(series, y, height))
    return Column(
        slot_x=round(place * slot, 3),
        slot_width=round(slot, 3),
        x=round((place + (1 - COLUMN_SHARE) / 2) * slot, 3),
        width=round(slot * COLUMN_SHARE, 3),
        middle=round((place + 0.5) * slot, 3),
        parts=tuple(parts),
    )
