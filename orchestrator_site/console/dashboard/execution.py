"""The dashboard's figures about the carrying out of tasks: what waits, ends, fails and costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection
from django.db.models import Count as CountOf
from django.db.models import Q
from django.urls import reverse

from orchestrator_site.console.arms.figures import figures
from orchestrator_site.console.arms.states import is_available
from orchestrator_site.console.dashboard import lists
from orchestrator_site.console.dashboard.figures import DAYS
from orchestrator_site.console.dashboard.state import Concern
from orchestrator_site.console.execution.waiting import NEXT_CALL, REASONS
from orchestrator_site.console.formats import age, dollars, failure_name, label
from orchestrator_site.console.lists.paginator import COUNT_LIMIT, AtLeast, Count
from tasks.execution.failures import FailureCode
from tasks.models import Arm, Budget, Pause, Task, Worker
from tasks.states import Status, WaitsFor

# How many of the newest tasks of a status are looked at for those that ended lately.
ENDED_SAMPLE: Final = 10_000
# The newest failed runs are counted, at most so many.
MAX_FAILURES: Final = 100_000
# Each is a range of an index that has the parked steps, or those that wait for a time. With
# `waits_for = reason` and no order, PostgreSQL may read all steps to find none.
_WAITING: Final = """
    SELECT reason, parked.tasks, parked.oldest
    FROM unnest(%(reasons)s::text[]) AS reason, LATERAL (
        SELECT count(*) AS tasks, min(parked_at) AS oldest
        FROM (
            SELECT parked_at FROM steps WHERE waits_for >= reason AND waits_for <= reason
            ORDER BY waits_for, client_id LIMIT %(most)s
        ) AS some_steps
    ) AS parked
    UNION ALL
    SELECT %(next_call)s, count(*), NULL
    FROM (
        SELECT FROM steps WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT %(most)s
    ) AS waiting
"""
_FAILURES: Final = """
    SELECT failure_code, count(*) FILTER (WHERE ended_at >= %(now)s - interval '1 day'), count(*)
    FROM (
        SELECT failure_code, ended_at FROM runs
        WHERE failure_code IS NOT NULL AND ended_at >= %(since)s
        ORDER BY ended_at DESC LIMIT %(most)s
    ) AS newest
    GROUP BY failure_code
    ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True)
class Waiting:
    """The tasks that wait for one thing.

    Attributes:
        since: how long the first of them has waited; empty if they wait for a time, and if they
            are too many.
    """

    reason: str
    name: str
    count: Count
    url: str
    since: str


@dataclass(frozen=True)
class Failures:
    """The runs that failed with one code, in the last day and in the last seven days."""

    code: str
    name: str
    url: str
    last_day: str
    last_week: str


@dataclass(frozen=True)
class ExecutionSection:
    """What workers do with tasks.

    Attributes:
        ended: the label of a status, with the tasks that entered it in the last hour.
    """

    waiting: tuple[Waiting, ...]
    ended: tuple[tuple[str, Count], ...]
    failures: tuple[Failures, ...]

    @property
    def decisions(self) -> Waiting | None:
        """The results that wait for a decision; None if there is none."""
        return next((row for row in self.waiting if row.reason == WaitsFor.DECISION), None)

    @property
    def is_release_awaited(self) -> bool:
        return any(row.reason == WaitsFor.RELEASE for row in self.waiting)


@dataclass(frozen=True)
class Crew:
    """The arms and workers at a glance."""

    arms: int
    available_arms: int
    misconfigured_arms: int
    workers: int

    @property
    def arms_in_short(self) -> str:
        return f"{self.available_arms} of {self.arms} available" if self.arms else "none"

    @property
    def workers_in_short(self) -> str:
        return f"{self.workers} alive" if self.workers else "none alive"


def execution_section(now: datetime, *, may_decide: bool = False) -> ExecutionSection:
    """
    Args:
        may_decide: whether results that wait for a decision link to the pages for that.
    """
    return ExecutionSection(_waiting(now, may_decide), _ended(now), _failures(now))


def crew() -> Crew:
    arms = list(Arm.objects.only("is_enabled", "health"))
    return Crew(
        arms=len(arms),
        available_arms=sum(map(is_available, arms)),
        misconfigured_arms=sum(arm.is_enabled and arm.health == "misconfigured" for arm in arms),
        workers=Worker.objects.alive().count(),
    )


def concerns_about(crew: Crew, pause: Pause | None, *, may_view_arms: bool) -> list[Concern]:
    """Return why tasks are not carried out, with what to do about it."""
    arms_url = reverse("admin:tasks_arm_changelist") if may_view_arms else ""
    found = []
    if pause:
        found.append(Concern("All new calls to arms are paused."))
    if not crew.workers:
        found.append(
            Concern("No worker lives, so no task is carried out. Start one with: make work")
        )
    if not crew.arms:
        text = (
            "No arm is registered: tasks wait until there is one. Register one under Arms, or name "
            "it in ORCHESTRATOR_ARMS and start a worker."
        )
        found.append(Concern(text, arms_url))
    elif not crew.available_arms:
        found.append(Concern("No arm is available, so tasks wait.", arms_url))
    if crew.misconfigured_arms:
        text = f"Misconfigured arms, at which somebody has to look: {crew.misconfigured_arms}."
        found.append(Concern(text, arms_url))
    return found


def dollars_today(now: datetime, limit: Decimal | None) -> str:
    """Return what the calls of today (UTC) cost, with what open calls may still cost."""
    if limit is None:
        of_arms = figures(Arm.objects.values_list("pk", flat=True)).values()
        usd = sum((one.usd for one in of_arms), Decimal(0))
        at_least = "at least " if any(one.is_usd_partial for one in of_arms) else ""
        return f"{at_least}{dollars(usd)}"
    day = Budget.objects.filter(day=now.date()).first() or Budget()
    spent = dollars(Decimal(day.spent_usd))
    reserved = f", {dollars(day.reserved_usd)} reserved" if day.reserved_usd else ""
    return f"{spent} of at most {dollars(limit)}{reserved}"


def _waiting(now: datetime, may_decide: bool) -> tuple[Waiting, ...]:
    reasons = [reason for reason in REASONS if reason != NEXT_CALL]
    with connection.cursor() as cursor:
        cursor.execute(
            _WAITING, {"reasons": reasons, "next_call": NEXT_CALL, "most": COUNT_LIMIT + 1}
        )
        found = {reason: (count, oldest) for reason, count, oldest in cursor.fetchall()}
    return tuple(
        Waiting(
            reason,
            name.capitalize(),
            _bounded(count),
            (
                lists.decisions()
                if may_decide and reason == WaitsFor.DECISION
                else lists.tasks_that_wait_for(reason)
            ),
            # Of too many, only some are read.
            age(oldest, now) if oldest and count <= COUNT_LIMIT else "",
        )
        for reason, name in REASONS.items()
        for count, oldest in [found[reason]]
        if count
    )


def _ended(now: datetime) -> tuple[tuple[str, Count], ...]:
    hour_ago = now - timedelta(hours=1)
    return tuple(
        (label(status), _ended_since(hour_ago, status))
        for status in (Status.COMPLETED, Status.FAILED)
    )


def _ended_since(moment: datetime, status: Status) -> Count:
    newest = Task.objects.newest_in(status).values("updated_at")[:ENDED_SAMPLE]
    counted: int = newest.aggregate(lately=CountOf("updated_at", filter=Q(updated_at__gte=moment)))[
        "lately"
    ]
    return Count(counted) if counted < ENDED_SAMPLE else AtLeast(ENDED_SAMPLE)


def _failures(now: datetime) -> tuple[Failures, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            _FAILURES, {"now": now, "since": now - timedelta(days=DAYS), "most": MAX_FAILURES}
        )
        rows: Sequence[tuple[str, int, int]] = cursor.fetchall()
    is_cut = sum(week for _, _, week in rows) >= MAX_FAILURES
    at_least = "+" if is_cut else ""
    return tuple(
        Failures(
            code,
            failure_name(FailureCode(code)),
            lists.tasks_that_failed_with(code),
            f"{day:,}{at_least}",
            f"{week:,}{at_least}",
        )
        for code, day, week in rows
    )


def _bounded(count: int) -> Count:
    return Count(count) if count <= COUNT_LIMIT else AtLeast(COUNT_LIMIT)
