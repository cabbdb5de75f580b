"""Submitting a task: first the verdict, then the rows."""

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
        redacted_types: the types of personal data that were replaced before the task was stored.
    """

    task: Task
    redacted_types: list[str]


def submit_task(*, submission: Submission, gate: Gate, origin: Origin) -> Accepted:
    """Screen `submission` and store it as a pending task, with its receipt.

    The gate comes before the database, so that no connection waits for the Reflex Layer. The task
    is stored as the policy has redacted it.

    Raises:
        SubmissionBlocked: the gate refuses the submission; a receipt is stored.
        NoVerdict: there is no verdict; a receipt with the reason is stored, unless the circuit is
            open.
    """
    try:
        screening = gate.screen(submission.document, request_id=origin.request_id)
    except NotAsked:
        # Metrics count it. While the circuit is open, a refusal must cost next to nothing.
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
    task = Task(
        goal=submission.goal,
        constraints=submission.constraints,
        context=submission.context,
        acceptance_criteria=submission.acceptance_criteria,
        # A copy that may gain keys later; `context` never changes.
        task_metadata=submission.context,
        priority=submission.priority,
        max_cost_usd=submission.max_cost_usd,
        max_time_seconds=submission.max_time_seconds,
        max_tokens=submission.max_tokens,
        verdict=screening.verdict.value,
        created_at=receipt.created_at,
        updated_at=receipt.created_at,
    )
    receipt.subject_id = task.pk
    insert_together(receipt, task)
    count_entry(Status.PENDING)
    return task
