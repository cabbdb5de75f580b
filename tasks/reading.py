"""Reading a task with one statement, written by hand.

The ORM would compile the same statement for every request, which takes longer than the database
needs to answer it.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from tasks.models import Task


class ReadResult(NamedTuple):
    """What came out of a task.

    Attributes:
        confidence: 0 to 1.
    """

    result_data: Any
    confidence: Decimal
    created_at: datetime


class ReadTask(NamedTuple):
    """The current state of a task.

    Attributes:
        client_id: None for a task that was submitted without a key.
        result: the newest one; None if there is none, or it was not asked for.
    """

    id: UUID
    client_id: UUID | None
    goal: str
    status: str
    priority: str
    created_at: datetime
    updated_at: datetime
    task_metadata: dict[str, Any]
    result: ReadResult | None


_STATEMENT: Final = """
    SELECT tasks.id, client_id, goal, status, priority, tasks.created_at, updated_at, task_metadata,
        result_data, confidence, newest.created_at
    FROM tasks LEFT JOIN LATERAL (
        SELECT result_data, confidence, created_at
        FROM task_results
        WHERE task_id = tasks.id
        ORDER BY created_at DESC, id DESC
        LIMIT 1
    ) AS newest ON true
    WHERE tasks.id = %s
"""


def read_task(task_id: UUID) -> ReadTask:
    """Return the task with its newest result.

    Raises:
        Task.DoesNotExist
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [task_id])
        row = cursor.fetchone()
    if row is None:
        raise Task.DoesNotExist
    # Django returns jsonb as text.
    *fields, metadata, result_data, confidence, result_created_at = row
    result = None
    if result_data is not None:
        result = ReadResult(json.loads(result_data), confidence, result_created_at)
    return ReadTask._make([*fields, json.loads(metadata), result])
