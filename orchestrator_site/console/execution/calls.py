"""The newest attempts and calls of each step, and what all of its calls used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, Expression, F, QuerySet, Sum, Window
from django.db.models.functions import RowNumber

from orchestrator_site.console.execution.usage import Usage
from orchestrator_site.console.formats import dollars
from tasks.models import Attempt, Call, Step

# Of each step; a step that waits for an arm again and again may have any number.
MAX_ROWS: Final = 50
_USED: Final[dict[str, Expression]] = {
    "all_tokens": Sum("tokens"),
    "all_usd": Sum("cost_usd"),
    "all_time": Sum(F("ended_at") - F("started_at")),
    "is_any_estimated": BoolOr("is_estimated"),
}


_NONE: Final = Usage()


@dataclass(frozen=True)
class Rows:
    """The newest attempts or calls of a step, the oldest of them first.

    Attributes:
        usage: of all calls, also of those that are left out.
    """

    shown: tuple[Any, ...] = ()
    left_out: int = 0
    usage: Usage = _NONE


def attempts_at(steps: Sequence[Step]) -> dict[Any, Rows]:
    """Return the attempts at each step, by its id."""
    attempts = Attempt.objects.filter(step__in=steps).select_related("worker")
    return {step_id: _rows(shown) for step_id, shown in _newest(attempts)}


def calls_of(steps: Sequence[Step]) -> dict[Any, Rows]:
    """Return the calls of each step, by its id."""
    found = {}
    for step_id, shown in _newest(Call.objects.filter(step__in=steps), **_USED):
        for call in shown:
            call.dollars = _dollars(call)
        found[step_id] = _rows(shown, _usage(shown[0]))
    return found


def _newest(rows: QuerySet, **sums: Expression) -> Iterable[tuple[Any, tuple[Any, ...]]]:
    """Yield the id of each step and its newest rows, each with the sums over all rows."""
    newest: Iterable[Any] = (
        rows.annotate(
            place=Window(RowNumber(), partition_by=F("step"), order_by=F("number").desc()),
            all_rows=Window(Count("pk"), partition_by=F("step")),
            **{name: Window(each, partition_by=F("step")) for name, each in sums.items()},
        )
        .filter(place__lte=MAX_ROWS)
        # By `step`, Django would order by the numbers of the steps.
        .order_by("step_id", "number")
    )
    for step_id, group in groupby(newest, key=lambda row: row.step_id):
        shown = tuple(group)
        for row in shown:
            row.seconds = _seconds(row.started_at, row.ended_at)
        yield step_id, shown


def _rows(shown: tuple[Any, ...], usage: Usage = _NONE) -> Rows:
    return Rows(shown, shown[0].all_rows - len(shown), usage)


def _usage(call: Any) -> Usage:
    time: timedelta = call.all_time or timedelta()
    return Usage(
        call.all_rows,
        # PostgreSQL adds whole numbers up to one of type numeric.
        int(call.all_tokens or 0),
        call.all_usd or Decimal(0),
        time.total_seconds(),
        call.is_any_estimated,
    )


def _dollars(call: Any) -> str:
    if call.cost_usd is None:
        return f"{dollars(call.reserved_usd)} reserved"
    return dollars(call.cost_usd)


def _seconds(started_at: datetime, ended_at: datetime | None) -> str:
    return "" if ended_at is None else f"{(ended_at - started_at).total_seconds():.2f} s"
