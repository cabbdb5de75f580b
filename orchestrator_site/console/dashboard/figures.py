"""The dashboard's numbers; each takes one bounded statement. Other modules add links and bars."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import models

from safety.models import MAX_RECENT, Receipt, ReceiptVerdict
from tasks.models import Task
from tasks.states import Status

HOURS: Final = 24
DAYS: Final = 7
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Enough for a steady median, and a few milliseconds to read.
LIFETIMES_SAMPLE: Final = 1_000
# The upper bounds of the bins in seconds, on a roughly logarithmic scale.
LIFETIME_BINS: Final = (
    (1, "under 1 s"),
    (10, "1 to 10 s"),
    (60, "10 to 60 s"),
    (600, "1 to 10 min"),
    (3_600, "10 to 60 min"),
    (21_600, "1 to 6 h"),
    (86_400, "6 to 24 h"),
    (math.inf, "a day or more"),
)


class Outcome(models.TextChoices):
    """The outcome of a submission."""

    ACCEPTED = "accepted", "Accepted"
    REFUSED = "refused", "Refused"
    UNDECIDED = "undecided", "No verdict"


VERDICTS_OF: Final = {
    Outcome.ACCEPTED: (ReceiptVerdict.SAFE, ReceiptVerdict.FLAGGED, ReceiptVerdict.UNSCREENED),
    Outcome.REFUSED: (ReceiptVerdict.BLOCKED,),
    Outcome.UNDECIDED: (ReceiptVerdict.NONE,),
}


@dataclass(frozen=True)
class Span:
    """The submissions from `since` to before `until`, by their verdicts."""

    since: datetime
    until: datetime
    verdicts: Mapping[ReceiptVerdict, int]

    @property
    def outcomes(self) -> dict[Outcome, int]:
        return {
            outcome: sum(self.verdicts.get(verdict, 0) for verdict in verdicts)
            for outcome, verdicts in VERDICTS_OF.items()
        }


@dataclass(frozen=True)
class Submissions:
    """The submissions of the last seven days, today included, counted by their receipts.

    Attributes:
        day: the last 24 hours; the last of `hours` is not over yet.
        counted_since: if there are too many receipts to count, the oldest hour that was counted;
            older hours are missing.
    """

    day: Span
    hours: tuple[Span, ...]
    week: Span
    days: tuple[Span, ...]
    counted_since: datetime | None


@dataclass(frozen=True)
class Lifetimes:
    """How long tasks took from their submission to their end, in ascending order."""

    seconds: tuple[float, ...]

    def quantile(self, share: float) -> float | None:
        """Return the time that `share` of the tasks did not exceed, None without tasks."""
        if not self.seconds:
            return None
        return self.seconds[max(0, math.ceil(share * len(self.seconds)) - 1)]

    @property
    def bins(self) -> dict[str, int]:
        counts = dict.fromkeys((label for _, label in LIFETIME_BINS), 0)
        for seconds in self.seconds:
            counts[next(label for bound, label in LIFETIME_BINS if seconds < bound)] += 1
        return counts


def first_day(now: datetime) -> datetime:
    """Return the midnight at which the last seven days began."""
    return _midnight(now) - (DAYS - 1) * DAY


def submissions(now: datetime) -> Submissions:
    counts = Receipt.objects.count_by_hour(since=first_day(now))
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first_hour = this_hour - (HOURS - 1) * HOUR
    midnight = first_day(now)

    def span(since: datetime, length: timedelta) -> Span:
        until = since + length
        verdicts = Counter[ReceiptVerdict]()
        for (hour, verdict), count in counts.items():
            if since <= hour < until:
                verdicts[verdict] += count
        return Span(since, until, verdicts)

    is_cut = sum(counts.values()) >= MAX_RECENT
    return Submissions(
        day=span(first_hour, HOURS * HOUR),
        hours=tuple(span(first_hour + number * HOUR, HOUR) for number in range(HOURS)),
        week=span(midnight, DAYS * DAY),
        days=tuple(span(midnight + number * DAY, DAY) for number in range(DAYS)),
        counted_since=min(hour for hour, _ in counts) if is_cut else None,
    )


def lifetimes(status: Status) -> Lifetimes:
    """Return the lifetimes of the newest tasks in `status`, which must be final or failed.

    Such tasks do not change any more, so they ended at the time of their last change.
    """
    times = Task.objects.newest_in(status)[:LIFETIMES_SAMPLE].values_list(
        "created_at", "updated_at"
    )
    # The clocks of two machines may differ by more than a short lifetime.
    seconds = (max(0.0, (ended - submitted).total_seconds()) for submitted, ended in times)
    return Lifetimes(tuple(sorted(seconds)))


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
