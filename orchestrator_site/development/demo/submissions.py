"""The submissions of the last 30 days, as rows for the database."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random
from typing import Final

from django.db.models import Model

from orchestrator_site.development.demo import receipts
from orchestrator_site.development.demo.lives import RUSH, Life, Step
from orchestrator_site.development.demo.planned import PlannedLives, comparison, letter
from orchestrator_site.development.demo.texts import STORY, WORKS
from tasks.states import Priority, Status

DAYS: Final = 30
HOUR: Final = timedelta(hours=1)
# How busy each hour of a day is (UTC), from midnight on.
BY_HOUR: Final = [*map(int, "1 1 1 1 2 3 6 10 15 18 18 16 13 16 18 17 14 10 7 5 4 3 2 1".split())]
BY_WEEKDAY: Final = (1, 1, 1, 1, 1, 0.3, 0.3)
# Additional tasks in each hour of the rush.
IN_RUSH: Final = 10
# Of all tasks: those with plans, checks by an arm, or decisions.
PLANNED: Final = 0.012
# Refused submissions for each accepted task.
REFUSED: Final = 0.07
# Of `Priority`, in its order.
PRIORITY_SHARES: Final = (20, 52, 22, 6)


def submissions(tasks: int, now: datetime, random: Random) -> Iterator[list[Model]]:
    """Yield so many tasks, each with all the rows that belong to it, and receipts of refusals.

    The tasks that documents and pictures show come first, then the others in the order of their
    submission.
    """
    shown = _shown(now, random)[:tasks]
    yield from shown
    planned_lives = PlannedLives(random)
    for at in arrivals(tasks - len(shown), now, random):
        planned = planned_lives.life(at, now) if random.random() < PLANNED else None
        yield planned or _everyday(at, now, random)
        if random.random() < REFUSED:
            yield [receipts.of_refusal(at, random)]


def _shown(now: datetime, random: Random) -> list[list[Model]]:
    yesterday = datetime.combine(now.date() - timedelta(days=1), time(9, 12), now.tzinfo)
    story = Life(STORY, Priority.CRITICAL, yesterday, random)
    failure = Step(97.5, Status.FAILED, reason=STORY.failures[0])
    story.pass_through((Step(4.2, Status.PROCESSING), failure), now)
    return [story.rows, comparison(yesterday, random), letter(now, random)]


def _everyday(at: datetime, now: datetime, random: Random) -> list[Model]:
    [work] = random.choices(WORKS, [work.share for work in WORKS])
    [priority] = random.choices([*Priority], PRIORITY_SHARES)
    life = Life(work, priority, at, random)
    life.pass_through(life.by_chance(now), now)
    return life.rows


def arrivals(count: int, now: datetime, random: Random) -> list[datetime]:
    """Return `count` moments of the last `DAYS` days in order, none after `now`."""
    hours = [now - HOUR * number for number in range(DAYS * 24, 0, -1)]
    weights = [
        BY_HOUR[hour.hour] * BY_WEEKDAY[hour.weekday()] + IN_RUSH * (now - hour <= RUSH)
        for hour in hours
    ]
    chosen = random.choices(hours, weights, k=count)
    return sorted(hour + HOUR * random.random() for hour in chosen)
