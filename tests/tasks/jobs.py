"""The jobs that tell workers what to do, as procrastinate's table has them."""

from typing import Any

from django.db import connection

from tasks.execution.bells import rank
from tasks.models import Step, Task

ONE_JOB = {"status": "todo", "lock": None, "scheduled_at": None}


def jobs() -> list[dict[str, Any]]:
    """Return the rows of all jobs, the next one first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT queue_name AS queue, task_name AS name, priority, queueing_lock, args::text,"
            " status::text, lock, scheduled_at"
            " FROM procrastinate_jobs ORDER BY priority DESC, id"
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def begins(task: Task) -> dict[str, Any]:
    """Return the job that begins `task`."""
    return ONE_JOB | {
        "queue": "tasks",
        "name": "begin",
        "priority": rank(task.priority, task.created_at, is_anonymous=task.client_id is None),
        "queueing_lock": str(task.pk),
        "args": f'{{"task": "{task.pk}"}}',
    }


def carries_out(step: Step) -> dict[str, Any]:
    return ONE_JOB | {
        "queue": "tasks",
        "name": "carry_out",
        "priority": step.rank,
        "queueing_lock": str(step.pk),
        "args": f'{{"step": "{step.pk}"}}',
    }
