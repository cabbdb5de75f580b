"""When demonstration tasks come."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final

DAYS: Final = 30
HOUR: Final = timedelta(hours=1)
# How busy each hour of a day is (UTC): asleep, at work, a shorter evening.
_BY_HOUR: Final = (
    1,
    1,
    1,
    1,
    2,
    3,
    6,
    10,
    15,
    18,
    18,
    16,
    13,
    16,
    18,
    17,
    14,
    10,
    7,
    5,
    4,
    3,
    2,
    1,
)
_WEEKEND: Final = 0.3
# Up to now there is a rush, at whatever hour: more than the arms can do, and so there is something
# to see in each status.
RUSH: Final = timedelta(hours=12)
_RUSH: Final = 10


def arrivals(count: int, now: datetime, random: Random) -> Iterator[datetime]:
    """Yield `count` moments of the last `DAYS` days in order, none after `now`."""
    hours = [now - HOUR * number for number in range(DAYS * 24, 0, -1)]
    weights = [_weight(hour, now) for hour in hours]
    whole, passed, come = sum(weights), 0.0, 0
    for hour, weight in zip(hours, weights, strict=True):
        passed += weight
        # Of the sum so far, so that what is rounded off in one hour comes in the next.
        due = round(count * min(passed / whole, 1)) - come
        come += due
        yield from sorted(hour + HOUR * random.random() for _ in range(due))


def _weight(hour: datetime, now: datetime) -> float:
    usual = _BY_HOUR[hour.hour] * (_WEEKEND if hour.weekday() >= 5 else 1)
    return usual + (_RUSH if now - hour <= RUSH else 0)
