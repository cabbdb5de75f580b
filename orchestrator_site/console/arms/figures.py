"""What the console counts of arms."""

from collections.abc import Collection
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import connection

from orchestrator_site.console.formats import dollars
from orchestrator_site.console.lists.paginator import COUNT_LIMIT, AtLeast, Count

# An arm that answers at once makes so many calls in some hours.
MAX_CALLS_OF_A_DAY: Final = 200_000


class Figures(NamedTuple):
    """What one arm does.

    Attributes:
        busy: the calls that it works on.
        calls, failures: of the last hour; beyond `COUNT_LIMIT` they say so.
        usd: what its calls of today (UTC) cost.
        is_usd_partial: whether only its newest calls of today are in `usd`.
    """

    busy: int
    calls: Count
    failures: Count
    usd: Decimal
    is_usd_partial: bool

    @property
    def dollars(self) -> str:
        return f"{'at least ' if self.is_usd_partial else ''}{dollars(self.usd)}"


# All of it comes from two indexes: on the open calls, and on the calls of an arm by time.
_FIGURES: Final = """
    SELECT arm.name,
        (SELECT count(*) FROM calls WHERE calls.arm = arm.name AND ended_at IS NULL),
        hour.calls, hour.failures, day.usd, day.calls > %(most_of_a_day)s
    FROM unnest(%(names)s::text[]) AS arm (name), LATERAL (
        SELECT count(*) AS calls, count(*) FILTER (WHERE outcome <> 'succeeded') AS failures
        FROM (
            SELECT outcome FROM calls
            WHERE calls.arm = arm.name AND started_at >= now() - interval '1 hour'
            ORDER BY started_at DESC LIMIT %(most)s
        ) AS newest
    ) AS hour, LATERAL (
        SELECT count(*) AS calls, coalesce(sum(cost_usd), 0) AS usd
        FROM (
            SELECT cost_usd FROM calls
            WHERE calls.arm = arm.name
                AND started_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
            ORDER BY started_at DESC LIMIT %(most_of_a_day)s + 1
        ) AS newest
    ) AS day
"""


def figures(names: Collection[str]) -> dict[str, Figures]:
    """Return the figures of each arm, in a time that does not grow with all its calls."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FIGURES,
            {
                "names": [*names],
                "most": COUNT_LIMIT + 1,
                "most_of_a_day": MAX_CALLS_OF_A_DAY,
            },
        )
        return {
            name: Figures(busy, _shown(calls), _shown(failures), usd, is_partial)
            for name, busy, calls, failures, usd, is_partial in cursor.fetchall()
        }


def _shown(count: int) -> Count:
    return Count(count) if count <= COUNT_LIMIT else AtLeast(COUNT_LIMIT)
