"""What coordinates more than one thing: first the verdict, then the rows."""

import logging
from typing import NamedTuple

from safety.exceptions import NotAsked, NoVerdict
from safety.gate import Gate
from safety.models import Receipt
from safety.origin import Origin
from safety.policy import Verdict
from safety.receipts import receipt_of, receipt_without_verdict
from safety.screening import Screening
from tasks.changes import count_entry
from tasks.exceptions import SubmissionBlocked
from tasks.insertion import insert_together
from tasks.models import Task
from tasks.states import Status
from tasks.submission import Submission

logger = logging.getLogger(__name__)


class Accepted(NamedTuple):
    """An accepted submission.

    Attributes:
        redacted_types: of what the policy had replaced before the task was stored.
    """

    task: Task
    redacted_types: list[str]


def submit_task(*, submission: Submission, gate: Gate, origin: Origin) -> Accepted:
    """Have `submission` screened and store it as a pending task, with its receipt.

    The gate is asked before the database, so that no connection waits for it. What the
    policy has replaced is replaced in what is stored.

    Raises:
        SubmissionBlocked: the gate refuses it; its receipt is stored.
        NoVerdict: the gate cannot say; a receipt with the reason is stored, unless nobody
            was asked.
    """
    try:
        screening = gate.screen(submission.document, request_id=origin.request_id)
    except NotAsked:
        # Counted only: while the circuit is open, refusals must cost nothing.
        raise
    except NoVerdict as error:
        receipt_without_verdict(error, policy_version=gate.policy_version, origin=origin).save()
        raise
    receipt = receipt_of(screening, policy_version=gate.policy_version, origin=origin)
    if screening.verdict is Verdict.BLOCKED:
        receipt.save()
        raise SubmissionBlocked(screening.blocked_for, screening.reason)
    if screening.redaction:
        submission = submission.with_texts(screening.redaction.document.fields)
    task = _store(submission, screening, receipt)
    logger.info(
        "Task submitted successfully",
        extra={"task_id": str(task.pk), "priority": task.priority, "verdict": task.verdict},
    )
    return Accepted(task, receipt.redacted_types)


def _store(submission: Submission, screening: Screening, receipt: Receipt) -> Task:
    # A task and its receipt have the same id, and so need no column to find each other.
    task = Task(
        id=receipt.pk,
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
        created_at=receipt.created_at,
        updated_at=receipt.created_at,
    )
    insert_together(receipt, task)
    count_entry(Status.PENDING)
    return task
