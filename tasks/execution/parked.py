"""Ringing parked steps as soon as there is room for them, in their order."""

from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection

from tasks.execution import bells

# One range of an index for each reason, capability and arm: 100,000 parked steps are not sorted.
# An arm that had a part in a result does not judge it: it would be rung again and again, and others
# behind it never.
_RING: Final = bells.ring_steps("""
    SELECT next.id, next.rank
    FROM arms, LATERAL (
        SELECT greatest(room - count(*), 0) AS places
        FROM calls WHERE calls.arm = arms.name AND ended_at IS NULL
    ) AS free, LATERAL (
        SELECT id, rank
        FROM unnest(%(reasons)s::text[]) AS reason, unnest(capabilities) AS capability_of_arm,
            (VALUES (''), (name)) AS places_of (arm), LATERAL (
                SELECT id, rank FROM steps
                WHERE waits_for = reason AND capability = capability_of_arm
                    AND waits_at = places_of.arm AND NOT (role = 'judge' AND EXISTS (
                        SELECT 1 FROM steps AS authors
                        WHERE authors.run_id = steps.run_id AND authors.arm = name
                            AND authors.role IN ('execute', 'repair')
                    ))
                ORDER BY rank DESC LIMIT free.places
            ) AS parked
        ORDER BY rank DESC LIMIT free.places
    ) AS next
    WHERE is_enabled AND health NOT IN ('down', 'misconfigured')
        AND (%(arm)s::text IS NULL OR name = %(arm)s)
        AND NOT EXISTS (SELECT 1 FROM pauses WHERE ended_at IS NULL)
    GROUP BY next.id, next.rank
""")
# The first of each other client; those of one may be many.
_RING_OTHERS: Final = bells.ring_steps("""
    SELECT first.id, first.rank
    FROM unnest(ARRAY['arm', 'room']) AS reason, (
        SELECT id FROM clients WHERE id IS DISTINCT FROM %(client_id)s
    ) AS others, LATERAL (
        SELECT id, rank FROM steps WHERE waits_for = reason AND client_id = others.id
        ORDER BY rank DESC LIMIT 1
    ) AS first
    UNION ALL
    SELECT first.id, first.rank
    FROM unnest(ARRAY['arm', 'room']) AS reason, LATERAL (
        SELECT id, rank FROM steps
        WHERE waits_for = reason AND client_id IS NULL AND %(client_id)s::uuid IS NOT NULL
        ORDER BY rank DESC LIMIT 1
    ) AS first
""")
_USED_TODAY: Final = """
    SELECT today, coalesce((SELECT spent_usd + reserved_usd FROM budgets WHERE day = today), 0)
    FROM (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS days
"""
# The end of the pause rings nobody: these are found as soon as it has ended.
REASONS: Final = ("arm", "room", "resume")


def ring_parked(*, arm: str | None = None, with_budget: bool = False) -> int:
    """Ring as many parked steps as fit; return how many were rung anew.

    Args:
        arm: the arm that has room; None for all arms.
        with_budget: whether to ring steps that wait for the budget of the day, too.
    """
    reasons = [*REASONS, *(["budget"] if with_budget else [])]
    with connection.cursor() as cursor:
        cursor.execute(_RING, {"arm": arm, "reasons": reasons})
        return int(cursor.rowcount)


def ring_others(client_id: UUID | None) -> None:
    """Ring the first parked step of each other client, since this one has its share of an arm.

    Those of this client may be the first in line, and would be rung again and again.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RING_OTHERS, {"client_id": client_id})


class UsedToday(NamedTuple):
    """What calls of a UTC day have cost, with what is reserved."""

    day: date
    cost_usd: Decimal


def used_today() -> UsedToday:
    with connection.cursor() as cursor:
        cursor.execute(_USED_TODAY)
        return UsedToday(*cursor.fetchone())
