"""Decisions of staff about results that nobody else can judge."""

import json
import logging
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection, transaction

from tasks.changes import EventKind, kind_of_actor
from tasks.exceptions import DecisionTaken
from tasks.execution.concluding import Conclusion
from tasks.execution.runs.finishing import finish
from tasks.execution.runs.moves import ACCEPTED, EXPIRED, REJECTED
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.states import StepState

BATCH: Final = 100
_DUE: Final = f"""
    SELECT task_id, id FROM steps
    WHERE waits_for = 'decision'
        AND parked_at < clock_timestamp() - make_interval(secs => %s)
    LIMIT {BATCH}
"""
_IS_ASKED: Final = """
    SELECT EXISTS (
        SELECT 1 FROM steps WHERE id = %s AND task_id = %s AND waits_for = 'decision'
    )
"""
_EVENT: Final = """
    INSERT INTO task_events (task_id, kind, actor, actor_kind, reason, data, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())
"""

logger = logging.getLogger(__name__)


def accept(*, task_id: UUID, step_id: UUID, actor: str, reason: str) -> None:
    """Complete a task whose result waits for a decision.

    Raises:
        DecisionTaken: somebody else has decided, or the task has ended.
    """
    _decide(task_id, step_id, ACCEPTED, actor=actor, reason=reason)


def reject(*, task_id: UUID, step_id: UUID, actor: str, reason: str, wish: str = "") -> None:
    """Let a task fail whose result waits for a decision, or have the result repaired.

    Args:
        wish: what has to be better; empty for no repair.

    Raises:
        DecisionTaken: somebody else has decided, or the task has ended.
    """
    _decide(task_id, step_id, REJECTED, actor=actor, reason=reason, wish=wish)


def expire(options: RunOptions) -> int:
    """Let the tasks fail whose decisions nobody has made in time; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [options.decision_seconds])
        due = cursor.fetchall()
    expired = 0
    for task_id, step_id in due:
        try:
            _decide(task_id, step_id, EXPIRED)
        except DecisionTaken:
            continue
        except DatabaseError:
            raise
        except Exception:
            # Of one task, whose rows SQL may have changed. The others expire all the same.
            logger.exception("Decision not ended", extra={"task_id": str(task_id)})
            continue
        expired += 1
    return expired


def _decide(
    task_id: UUID, step_id: UUID, outcome: str, *, actor: str = "", reason: str = "", wish: str = ""
) -> None:
    answer: dict[str, Any] = {"outcome": outcome, "reason": reason, "wish": wish}
    conclusion = Conclusion(task_id=task_id, step_id=step_id, state=StepState.DONE, answer=answer)
    kind = kind_of_actor(actor)
    data = json.dumps({"outcome": outcome})
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_IS_ASKED, [step_id, task_id])
            if not cursor.fetchone()[0]:
                raise DecisionTaken(task_id)
            cursor.execute(_EVENT, [task_id, EventKind.DECISION, actor, kind, reason, data])
        # Of two decisions at the same time, the second one finds that the step is over.
        if finish(conclusion, DEFAULT) is None:
            raise DecisionTaken(task_id)
