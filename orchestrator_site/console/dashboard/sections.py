"""The sections of the dashboard: figures with the links to their lists, and their bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.urls import reverse

from orchestrator_site.console.dashboard import figures, lists
from orchestrator_site.console.dashboard.charts import Column, ColumnChart, bar_width, column_chart
from orchestrator_site.console.dashboard.figures import (
    VERDICTS_OF,
    Lifetimes,
    Outcome,
    Span,
    Submissions,
)
from orchestrator_site.console.formats import age, label, shortened
from safety.models import Receipt, ReceiptVerdict
from tasks.models import Task
from tasks.models.task import EXACT_COUNT_LIMIT
from tasks.states import Priority, Status

MOST_PENDING: Final = 10
MOST_TYPES: Final = 10
# Labels below every column would overlap.
HOURS_BETWEEN_TICKS: Final = 6
# Cancelled tasks are missing, because their end says nothing about how long processing takes.
ENDED: Final = (Status.COMPLETED, Status.FAILED)


@dataclass(frozen=True)
class Figure:
    """A number and the list behind it.

    Attributes:
        kind: its class in the style sheet.
        bar: the length of its bar, in per cent of the longest one.
    """

    name: str
    count: int
    url: str = ""
    kind: str = ""
    bar: float = 0
    is_estimate: bool = False

    def __str__(self) -> str:
        return f"about {round(self.count, -3):,}" if self.is_estimate else f"{self.count:,}"


@dataclass(frozen=True)
class Row:
    """Figures that belong together: a row of a table, and a column of a chart if there is one."""

    name: str
    figures: tuple[Figure, ...]
    url: str = ""
    tick: str = ""
    column: Column | None = None

    def __str__(self) -> str:
        return f"{self.name}: {_listed(self.figures)}"


@dataclass(frozen=True)
class Chart:
    """The submissions of a period by their outcome."""

    id: str
    name: str
    totals: tuple[Figure, ...]
    rows: tuple[Row, ...]
    drawing: ColumnChart

    @property
    def is_empty(self) -> bool:
        return not any(total.count for total in self.totals)

    @property
    def description(self) -> str:
        return f"Total: {_listed(self.totals)}. The table below has all numbers."


@dataclass(frozen=True)
class ReceiptSection:
    """The figures that come from receipts.

    Attributes:
        counted_since: the oldest hour that was counted, if there are too many receipts to count.
    """

    charts: tuple[Chart, Chart]
    verdicts: tuple[Figure, ...]
    types: tuple[Figure, ...]
    counted_since: datetime | None


@dataclass(frozen=True)
class Quantiles:
    """How long a sample of tasks took to reach a status."""

    name: str
    label: str
    url: str
    sample: str
    median: str
    p90: str


@dataclass(frozen=True)
class PendingTask:
    url: str
    id: str
    priority: str
    age: str
    goal: str


@dataclass(frozen=True)
class TaskSection:
    """The figures that come from tasks."""

    statuses: tuple[tuple[str, Figure], ...]
    quantiles: tuple[Quantiles, ...]
    bins: tuple[Row, ...]
    pending: tuple[PendingTask, ...]
    pending_url: str

    @property
    def is_empty(self) -> bool:
        return not any(figure.count for _, figure in self.statuses)


def undecided(submissions: Submissions) -> Figure:
    """Return the submissions without a verdict in this hour and the previous one."""
    before, this_hour = submissions.hours[-2:]
    outcome = Outcome.UNDECIDED
    return Figure(
        outcome.label,
        before.outcomes[outcome] + this_hour.outcomes[outcome],
        lists.receipts(before.since, this_hour.until, VERDICTS_OF[outcome]),
    )


def receipt_section(submissions: Submissions) -> ReceiptSection:
    week = submissions.week
    return ReceiptSection(
        charts=(
            _chart("last-day", "The last 24 hours", submissions.day, submissions.hours),
            _chart("last-week", "The last 7 days", submissions.week, submissions.days),
        ),
        verdicts=_beside_each_other(
            [
                Figure(
                    verdict.label,
                    week.verdicts.get(verdict, 0),
                    lists.receipts(week.since, week.until, [verdict]),
                )
                for verdict in ReceiptVerdict
            ]
        ),
        types=_beside_each_other(
            [
                Figure(name, count, lists.receipts(week.since, week.until, type_found=name))
                for name, count in Receipt.objects.count_by_type(
                    since=week.since, limit=MOST_TYPES
                ).items()
            ]
        ),
        counted_since=submissions.counted_since,
    )


def task_section(now: datetime, *, with_goals: bool) -> TaskSection:
    lifetimes = {status: figures.lifetimes(status) for status in ENDED}
    return TaskSection(
        statuses=tuple(
            (
                label(status),
                Figure(
                    status.label,
                    count,
                    lists.tasks_in(status),
                    is_estimate=count > EXACT_COUNT_LIMIT,
                ),
            )
            for status, count in Task.objects.count_by_status().items()
        ),
        quantiles=tuple(_quantiles(status, lifetimes[status]) for status in ENDED),
        bins=_bins(lifetimes),
        pending=_longest_pending(now, with_goals=with_goals),
        pending_url=lists.tasks_in(Status.PENDING),
    )


def _chart(chart_id: str, name: str, whole: Span, spans: Sequence[Span]) -> Chart:
    drawing = column_chart([_outcomes(span) for span in spans])
    rows = zip(spans, drawing.columns, strict=True)
    return Chart(
        chart_id, name, _figures(whole), tuple(_row(span, column) for span, column in rows), drawing
    )


def _outcomes(span: Span) -> dict[str, int]:
    return {outcome.value: count for outcome, count in span.outcomes.items()}


def _figures(span: Span) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            outcome.label,
            count,
            lists.receipts(span.since, span.until, VERDICTS_OF[outcome]),
            outcome.value,
        )
        for outcome, count in span.outcomes.items()
    )


def _row(span: Span, column: Column) -> Row:
    since, until = span.since, span.until
    if until - since == figures.DAY:
        name, tick = f"{since:%a %Y-%m-%d}", f"{since:%a}"
    else:
        name = f"{since:%Y-%m-%d %H:%M} to {until:%H:%M}"
        tick = "" if since.hour % HOURS_BETWEEN_TICKS else f"{since:%H:%M}"
    return Row(name, _figures(span), lists.receipts(since, until), tick, column)


def _beside_each_other(shown: Sequence[Figure]) -> tuple[Figure, ...]:
    """Return the same figures with bars; the longest bar fills the width."""
    most = max((figure.count for figure in shown), default=0)
    return tuple(replace(figure, bar=bar_width(figure.count, most)) for figure in shown)


def _listed(shown: Sequence[Figure]) -> str:
    return ", ".join(f"{figure.name.lower()} {figure}" for figure in shown)


def _quantiles(status: Status, lifetimes: Lifetimes) -> Quantiles:
    return Quantiles(
        name=status.label,
        label=label(status),
        url=lists.tasks_in(status),
        sample=f"{len(lifetimes.seconds):,}",
        median=_duration(lifetimes.quantile(0.5)),
        p90=_duration(lifetimes.quantile(0.9)),
    )


def _bins(lifetimes: Mapping[Status, Lifetimes]) -> tuple[Row, ...]:
    """Return a row for each bin, with a figure for each status; bars are scaled per status."""
    columns = [
        _beside_each_other(
            [Figure(status.label, count) for count in lifetimes[status].bins.values()]
        )
        for status in lifetimes
    ]
    names = [name for _, name in figures.LIFETIME_BINS]
    return tuple(
        Row(name, shown) for name, shown in zip(names, zip(*columns, strict=True), strict=True)
    )


def _longest_pending(now: datetime, *, with_goals: bool) -> tuple[PendingTask, ...]:
    """Return the longest pending tasks; goals are only read if they may be shown."""
    tasks = Task.objects.longest_in(Status.PENDING).only(
        "priority", "created_at", *(["goal"] if with_goals else [])
    )
    return tuple(
        PendingTask(
            url=reverse("admin:tasks_task_change", args=[task.pk]),
            id=str(task.pk)[:8],
            priority=label(Priority(task.priority)),
            age=age(task.created_at, now),
            goal=shortened(task.goal) if with_goals else "",
        )
        for task in tasks[:MOST_PENDING]
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
