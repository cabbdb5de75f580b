"""What the list of clients counts."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from orchestrator_site.console.lists.paginator import COUNT_LIMIT, AtLeast, Count


class Figures(NamedTuple):
    """Counts of one client; beyond `COUNT_LIMIT` they say so.

    Attributes:
        recent: tasks of the last 24 hours.
        tasks: all its tasks.
        pending: its pending tasks.
        refused: submissions that the gate refused in the last 24 hours.
        keys: keys that work.
        last_seen: when one of its keys or tokens was last used.
    """

    recent: Count
    tasks: Count
    pending: Count
    refused: Count
    keys: int
    last_seen: datetime | None


def figures(client_ids: Collection[UUID]) -> dict[UUID, Figures]:
    """Return the figures of each client, in a time that does not grow with its tasks."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT client.id,
                (SELECT count(*) FROM (
                    SELECT FROM tasks
                    WHERE client_id = client.id AND created_at >= now() - interval '1 day'
                    LIMIT %(most)s) AS recent),
                (SELECT count(*) FROM (
                    SELECT FROM tasks WHERE client_id = client.id LIMIT %(most)s) AS tasks),
                (SELECT count(*) FROM (
                    SELECT FROM tasks WHERE client_id = client.id AND status = 'pending'
                    LIMIT %(most)s) AS pending),
                (SELECT count(*) FROM (
                    SELECT FROM receipts
                    WHERE client_id = client.id AND created_at >= now() - interval '1 day'
                        AND verdict = 'blocked' AND occasion = 'submission'
                    LIMIT %(most)s) AS refused),
                keys.valid, greatest(keys.last_used_at, client.token_used_at)
            FROM clients AS client, LATERAL (
                SELECT count(*) FILTER (
                        WHERE revoked_at IS NULL AND expires_at > now() IS NOT FALSE
                    ) AS valid,
                    max(last_used_at) AS last_used_at
                FROM api_keys WHERE client_id = client.id
            ) AS keys
            WHERE client.id = ANY(%(ids)s)
            """,
            {"ids": [*client_ids], "most": COUNT_LIMIT + 1},
        )
        return {
            client_id: Figures._make([*map(_shown, counts), keys, last_seen])
            for client_id, *counts, keys, last_seen in cursor.fetchall()
        }


def _shown(count: int) -> Count:
    return Count(count) if count <= COUNT_LIMIT else AtLeast(COUNT_LIMIT)
