"""What came in over the last month, and what became of it."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random
from typing import Final

from orchestrator_site.development.demo import screenings
from orchestrator_site.development.demo.arrivals import arrivals
from orchestrator_site.development.demo.lives import Life, Step
from orchestrator_site.development.demo.rows import Rows, TaskRow
from orchestrator_site.development.demo.texts import STORY, STORY_FAILURE, STORY_WORDS, WORKS
from tasks.states import Priority, Status

# To each task that was accepted, so many submissions were refused.
REFUSED: Final = 0.07


def submissions(tasks: int, now: datetime, random: Random) -> Iterator[Rows]:
    """Yield so many tasks, each with all that is its own, and refusals beside some.

    First the one of the story, then the others in the order in which they came.
    """
    yield story(now, random)
    shares = [work.share for work in WORKS]
    for at in arrivals(tasks - 1, now, random):
        work = random.choices(WORKS, shares)[0]
        rows = Life(work, at, now, random).by_chance()
        while _rivals_the_story(rows.tasks[0], now):
            rows = Life(work, at, now, random).by_chance()
        if random.random() < REFUSED:
            rows.receipts.append(screenings.refused(random, at))
        yield rows


def story(now: datetime, random: Random) -> Rows:
    """Return the only critical task that has failed since yesterday, for staff to find out why."""
    work = next(work for work in WORKS if STORY_FAILURE.startswith(work.arm))
    life = Life(work, _yesterday(now) + timedelta(hours=9, minutes=12), now, random)
    life.words.update(STORY_WORDS)
    steps = (Step(4.2, Status.PROCESSING), Step(97.5, Status.FAILED, reason=STORY_FAILURE))
    return life.told(STORY, Priority.CRITICAL, steps)


def _rivals_the_story(task: TaskRow, now: datetime) -> bool:
    has_failed = task.status == Status.FAILED and task.updated_at >= _yesterday(now)
    return has_failed and task.priority == Priority.CRITICAL


def _yesterday(now: datetime) -> datetime:
    return datetime.combine(now.date() - timedelta(days=1), time.min, now.tzinfo)
