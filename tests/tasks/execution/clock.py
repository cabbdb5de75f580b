"""The clock of the database, which tests move forward instead of waiting."""

from django.db import connection

_MOMENTS = {
    "attempts": ["started_at", "lease_until", "ended_at"],
    "calls": ["started_at", "ended_at"],
    "runs": ["started_at", "ends_at", "parked_at"],
    "steps": ["created_at", "wake_at", "parked_at"],
    "tasks": ["created_at"],
}


def advance(seconds: float) -> None:
    """Let so many seconds pass: all times that workers compare with the clock move back."""
    with connection.cursor() as cursor:
        for table, columns in _MOMENTS.items():
            changes = ", ".join(
                f"{column} = {column} - make_interval(secs => %(seconds)s)" for column in columns
            )
            cursor.execute(f"UPDATE {table} SET {changes}", {"seconds": seconds})


def let_leases_run_out() -> None:
    """Let the leases of all workers run out, and nothing else happen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE attempts SET lease_until = clock_timestamp() - interval '1 second'"
            " WHERE ended_at IS NULL"
        )
