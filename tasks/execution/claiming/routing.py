"""Choosing an arm for a step: the cheapest tier first, then the least busy arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.arms.description import Arm, Capability, Protocol

# Locks the row of the arm: until the end of the transaction, nobody else takes a place there.
_CHOOSE: Final = """
    SELECT name, protocol, url, model, capabilities, room, timeout_seconds, is_idempotent, tier,
        usd_per_million_input, usd_per_million_output, max_answer_tokens, refused_parameters,
        busy, mine
    FROM arms, LATERAL (
        SELECT count(*) AS busy,
            count(*) FILTER (WHERE client_id IS NOT DISTINCT FROM %(client_id)s) AS mine
        FROM calls WHERE calls.arm = arms.name AND ended_at IS NULL
    ) AS open_calls
    WHERE is_enabled AND %(capability)s = ANY(capabilities)
        AND health NOT IN ('down', 'misconfigured')
        AND (%(pinned_arm)s::text IS NULL OR name = %(pinned_arm)s)
        AND (%(not_by)s::text[] IS NULL OR name <> ALL(%(not_by)s))
    ORDER BY busy >= room, tier, busy, name
    LIMIT 1
    FOR NO KEY UPDATE OF arms
"""
# The clients are few, and an index finds the first pending tasks of each. Those that wait for
# something else than room do not count. Anonymous tasks and later steps of a plan count as soon as
# one is parked for room.
_OTHERS_WAIT: Final = """
    SELECT EXISTS (
        SELECT 1 FROM clients, LATERAL (
            SELECT id FROM tasks
            WHERE client_id = clients.id AND status = 'pending' ORDER BY priority, created_at
            LIMIT 20
        ) AS pending
        WHERE clients.id IS DISTINCT FROM %(client_id)s AND NOT EXISTS (
            SELECT 1 FROM steps WHERE task_id = pending.id AND waits_for <> 'room'
        )
    ) OR EXISTS (
        SELECT 1 FROM clients, LATERAL (
            SELECT id FROM steps WHERE waits_for = 'room' AND client_id = clients.id LIMIT 1
        ) AS parked
        WHERE clients.id IS DISTINCT FROM %(client_id)s
    ) OR (%(client_id)s::uuid IS NOT NULL AND EXISTS (
        SELECT 1 FROM steps WHERE waits_for = 'room' AND client_id IS NULL
    ))
"""


@dataclass(frozen=True)
class Choice:
    """The arm for a step.

    Attributes:
        has_room: whether it has a place for the client of the step.
        is_share_taken: whether it has none since others wait and the client has its share.
    """

    arm: Arm
    has_room: bool
    is_share_taken: bool


def choose_arm(
    *,
    capability: str,
    pinned_arm: str | None,
    client_id: UUID | None,
    not_by: Sequence[str] | None = None,
) -> Choice | None:
    """Return the arm for a step, with its row locked; None if no arm could carry it out now.

    While others wait, no client gets more than half of the places of an arm.

    Args:
        not_by: arms that may not get it; None for none.
    """
    parameters = {
        "capability": capability,
        "pinned_arm": pinned_arm,
        "client_id": client_id,
        "not_by": None if not_by is None else [*not_by],
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHOOSE, parameters)
        row = cursor.fetchone()
        if row is None:
            return None
        values = dict(zip((column.name for column in cursor.description), row, strict=True))
        busy, mine = values.pop("busy"), values.pop("mine")
        arm = _arm(values)
        has_room, is_share_taken = busy < arm.room, False
        if has_room and mine >= max(1, arm.room // 2):
            cursor.execute(_OTHERS_WAIT, parameters)
            (is_share_taken,) = cursor.fetchone()
    return Choice(arm, has_room and not is_share_taken, is_share_taken)


def _arm(values: dict[str, Any]) -> Arm:
    capabilities, refused = values["capabilities"], values["refused_parameters"]
    converted = {
        "protocol": Protocol(values["protocol"]),
        "capabilities": tuple(map(Capability, capabilities)),
        "refused_parameters": tuple(refused),
    }
    return Arm(**values | converted)
