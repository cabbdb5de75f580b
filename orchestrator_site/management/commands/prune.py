"""`manage.py prune`: delete what is over and means nothing any more."""

from typing import Any, Final, NamedTuple

from django.core.management.base import BaseCommand
from django.db import connection

from tasks.models.action import KEPT_UNCONFIRMED_FOR

# So few at a time that no request waits for the locked rows.
BATCH: Final = 1_000


class Pruned(NamedTuple):
    """Rows of one table that may be deleted at any moment."""

    name: str
    table: str
    condition: str


ALL: Final = (
    Pruned("expired idempotency keys", "idempotency_keys", "expires_at <= clock_timestamp()"),
    # A row whose time is past means the same as no row.
    Pruned("idle limits", "rate_limits", "arrival_at <= clock_timestamp()"),
    Pruned("expired sessions", "django_session", "expire_date <= clock_timestamp()"),
    Pruned(
        "unconfirmed actions",
        "task_actions",
        "confirmed_at IS NULL AND created_at < clock_timestamp() - "
        f"interval '{KEPT_UNCONFIRMED_FOR.total_seconds():.0f} seconds'",
    ),
    # Those that ever claimed a step stay: the page of its task names them.
    Pruned(
        "idle workers",
        "workers",
        "seen_at < clock_timestamp() - interval '30 days' AND NOT EXISTS "
        "(SELECT 1 FROM attempts WHERE worker_id = workers.id)",
    ),
)


class Command(BaseCommand):
    help = (
        "Delete expired idempotency keys and sessions, idle rows of the limits, actions that "
        "nobody confirmed, and workers that ended a month ago and never claimed a step. Run it "
        "once a day; it may run beside the service."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for pruned in ALL:
            deleted = prune(pruned)
            self.stdout.write(f"Deleted {pruned.name}: {deleted:,}")


def prune(pruned: Pruned) -> int:
    """Delete the rows in batches, each in a transaction of its own; return how many they were."""
    total = 0
    with connection.cursor() as cursor:
        while True:
            # Locked rows are in use; a later run finds them if they are still over.
            cursor.execute(
                f"""
                DELETE FROM {pruned.table} WHERE ctid IN (
                    SELECT ctid FROM {pruned.table} WHERE {pruned.condition}
                    LIMIT %s FOR UPDATE SKIP LOCKED
                )
                """,  # noqa: S608 - constants
                [BATCH],
            )
            deleted: int = cursor.rowcount
            total += deleted
            if deleted < BATCH:
                return total
