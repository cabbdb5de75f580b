"""The bells that ring, as procrastinate's table has them."""

from uuid import UUID

from django.db import connection

from tasks.execution.bells import BEGIN, CARRY_OUT


def ringing(queue: str = "tasks") -> list[tuple[str, str]]:
    """Return the name and the lock of each waiting job of a queue, the next one first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT task_name, queueing_lock FROM procrastinate_jobs"
            " WHERE status = 'todo' AND queue_name = %s ORDER BY priority DESC, id",
            [queue],
        )
        return cursor.fetchall()


def begin(task_id: UUID) -> tuple[str, str]:
    return BEGIN, str(task_id)


def carry_out(step_id: UUID) -> tuple[str, str]:
    return CARRY_OUT, str(step_id)


def silence() -> None:
    """Take all bells away, as if workers had fetched them and died."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
