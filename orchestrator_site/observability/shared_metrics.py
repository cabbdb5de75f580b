"""The metrics that come from PostgreSQL, where all processes of all machines count together.

Every web server shows the same numbers, so that dashboards take the maximum over the servers and
not the sum.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from django.db import Error as DatabaseError
from django.db import connection
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from orchestrator_site.database.waiting import database_allowance
from orchestrator_site.problems import database_reason
from tasks.execution import counting
from tasks.execution.outcomes import LOST_WORK, AttemptOutcome, CallOutcome
from tasks.models import Arm, Task, Worker
from tasks.states import Priority, Status, WaitsFor

logger = logging.getLogger(__name__)

# How long a scrape waits for the database; the rest of the page is more important.
COUNT_SECONDS: Final = 1
# How many rows a gauge reads at most.
MAX_READ: Final = 10_000
PREFIX: Final = "octollm_orchestrator_"

_COUNTS: Final = "SELECT name, labels, sum(value) FROM counts GROUP BY name, labels"
_OLDEST: Final = """
    SELECT priority, extract(epoch FROM clock_timestamp() - min(created_at))
    FROM (
        SELECT priority, created_at FROM tasks WHERE status = 'pending'
        ORDER BY created_at LIMIT %s
    ) AS pending
    GROUP BY priority
"""
_PARKED: Final = """
    SELECT reason, (
        SELECT count(*) FROM (SELECT 1 FROM steps WHERE waits_for = reason LIMIT %s) AS parked
    )
    FROM unnest(%s::text[]) AS reason
"""


class Family(NamedTuple):
    """A counter: the name under which it is counted, its name, its help, and its labels."""

    counted_as: str
    name: str
    documentation: str
    labels: tuple[str, ...]


TASKS: Final = Family(
    counting.TASKS,
    "tasks",
    "Tasks submitted, and their later entries into each status",
    ("status",),
)
ARM_CALLS: Final = Family(
    counting.ARM_CALLS, "arm_calls", "Calls to arms that ended", ("arm", "outcome")
)
TOKENS: Final = Family(counting.TOKENS, "tokens", "Tokens that calls have used", ("arm",))
COST_USD: Final = Family(counting.COST_USD, "cost_usd", "US dollars that calls have cost", ("arm",))
ATTEMPTS: Final = Family(
    counting.ATTEMPTS, "attempts", "Attempts of workers that ended", ("outcome",)
)
LEASES_LOST: Final = Family(
    counting.LEASES_LOST, "leases_lost", "Attempts that another worker took over", ()
)
RECONCILED: Final = Family(
    counting.RECONCILED, "reconciled", "Lost work that the reconciler found", ("found",)
)
FAMILIES: Final = (TASKS, ARM_CALLS, TOKENS, COST_USD, ATTEMPTS, LEASES_LOST, RECONCILED)

Counts = dict[str, dict[tuple[str, ...], float]]


class SharedMetrics(Collector):
    """Reads the counters and looks at the state; yields less if the database is unavailable."""

    def collect(self) -> Iterator[Metric]:
        metrics: list[Metric] = []
        reasons: list[str] = []
        # One allowance for all, so that a database that hangs delays the page only once.
        with database_allowance(COUNT_SECONDS):
            for part in (_counters, _tasks_by_status, _oldest_pending, _parked, _workers):
                try:
                    metrics += part()
                except DatabaseError as error:
                    reasons.append(database_reason(error))
        if reasons:
            logger.warning("Metrics not read from the database", extra={"reason": reasons[0]})
        yield from metrics


def _rows(statement: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _counters() -> list[Metric]:
    counts: Counts = defaultdict(dict)
    for name, labels, value in _rows(_COUNTS, []):
        counts[name][tuple(labels)] = float(value)
    arms = list(Arm.objects.values_list("pk", flat=True))
    known: dict[Family, list[tuple[str, ...]]] = {
        TASKS: [(status.value,) for status in Status],
        ARM_CALLS: [(arm, outcome.value) for arm in arms for outcome in CallOutcome],
        TOKENS: [(arm,) for arm in arms],
        COST_USD: [(arm,) for arm in arms],
        ATTEMPTS: [(outcome.value,) for outcome in AttemptOutcome],
        LEASES_LOST: [()],
        RECONCILED: [(found,) for found in LOST_WORK],
    }
    return [*(_counter(family, counts, known[family]) for family in FAMILIES), _duration(counts)]


def _counter(family: Family, counts: Counts, known: list[tuple[str, ...]]) -> Metric:
    metric = CounterMetricFamily(PREFIX + family.name, family.documentation, labels=family.labels)
    values = dict.fromkeys(known, 0.0) | counts[family.counted_as]
    for labels, value in sorted(values.items()):
        metric.add_metric(labels, value)
    return metric


def _duration(counts: Counts) -> Metric:
    counted = counts[counting.DURATION]
    buckets, below = [], 0.0
    for bound in (*map(str, counting.DURATION_BUCKETS), counting.BEYOND):
        below += counted.get((bound,), 0.0)
        buckets.append((floatToGoString(bound), below))  # type: ignore[no-untyped-call]
    metric = HistogramMetricFamily(
        PREFIX + counting.DURATION, "Time of a task from its submission to its end, in seconds"
    )
    metric.add_metric([], buckets, sum_value=counted.get((counting.SUM,), 0.0))
    return metric


def _tasks_by_status() -> list[Metric]:
    return [
        _gauge(
            "tasks_by_status",
            "Tasks by status now; exact up to 10,000, beyond that an estimate",
            "status",
            {status.value: count for status, count in Task.objects.count_by_status().items()},
        )
    ]


def _oldest_pending() -> list[Metric]:
    ages = dict.fromkeys(Priority.values, 0.0)
    ages |= {priority: float(age) for priority, age in _rows(_OLDEST, [MAX_READ])}
    text = f"Age of the oldest pending task in seconds, among the {MAX_READ:,} oldest"
    return [_gauge("oldest_pending_seconds", text, "priority", ages)]


def _parked() -> list[Metric]:
    parked = dict(_rows(_PARKED, [MAX_READ, WaitsFor.values]))
    text = f"Parked steps by what they wait for, at most {MAX_READ:,} of each"
    return [_gauge("parked_steps", text, "waits_for", parked)]


def _workers() -> list[Metric]:
    metric = GaugeMetricFamily(
        f"{PREFIX}workers", "Workers that live", value=Worker.objects.alive().count()
    )
    return [metric]


def _gauge(name: str, documentation: str, label: str, values: dict[str, float]) -> Metric:
    metric = GaugeMetricFamily(PREFIX + name, documentation, labels=[label])
    for value, number in values.items():
        metric.add_metric([value], number)
    return metric
