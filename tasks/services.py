"""What coordinates more than one thing: first the verdict, then the row."""

import logging

from safety.gate import Gate
from safety.policy import Verdict
from tasks.exceptions import SubmissionBlocked
from tasks.models import Status, Task, count_entry
from tasks.submission import Submission

logger = logging.getLogger(__name__)


def submit_task(*, submission: Submission, gate: Gate, request_id: str) -> Task:
    """Have `submission` screened and store it as a pending task.

    The gate is asked before the database, so that no connection waits for it.

    Raises:
        SubmissionBlocked: the gate refuses it; nothing is stored.
        NoVerdict: the gate cannot say; nothing is stored.
    """
    screening = gate.screen(submission.document, request_id=request_id)
    if screening.verdict is Verdict.BLOCKED:
        raise SubmissionBlocked(screening.blocked_for)
    task = Task.objects.create(
        goal=submission.goal,
        constraints=submission.constraints,
        context=submission.context,
        acceptance_criteria=submission.acceptance_criteria,
        # A copy that may gain keys later; the context never changes.
        task_metadata=submission.context,
        priority=submission.priority,
        max_cost_usd=submission.max_cost_usd,
        max_time_seconds=submission.max_time_seconds,
        max_tokens=submission.max_tokens,
        verdict=screening.verdict.value,
    )
    count_entry(Status.PENDING)
    logger.info(
        "Task submitted successfully",
        extra={"task_id": str(task.pk), "priority": task.priority, "verdict": task.verdict},
    )
    return task
