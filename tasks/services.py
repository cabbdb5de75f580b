"""What clients do with tasks: submit and cancel them."""

import logging
from uuid import UUID

from safety.exceptions import NotAsked, NoVerdict
from safety.gate import Gate
from safety.models import Receipt
from safety.origin import Origin
from safety.policy import Verdict
from safety.receipts import receipt_of, receipt_without_verdict
from safety.screening import Screening
from tasks.changes import ActorKind
from tasks.clients.exceptions import TooManyPending
from tasks.clients.idempotency import Accepted, Claim
from tasks.clients.places import check_place, place_held
from tasks.exceptions import ClaimLost, InvalidTransition, SubmissionBlocked
from tasks.execution import bells, counting
from tasks.insertion import Insert, insert_claimed, insert_of, insert_together
from tasks.models import IdempotencyKey, Task
from tasks.reading import ReadTask, read_task
from tasks.states import Status
from tasks.submission import Submission

logger = logging.getLogger(__name__)


def submit_task(
    *,
    submission: Submission,
    gate: Gate,
    origin: Origin,
    max_pending: int | None = None,
    claim: Claim | None = None,
) -> Accepted:
    """Screen `submission` and store it as a pending task of its client, with its receipt.

    The gate comes before the database, so that no connection waits for the Reflex Layer. The task
    is stored as the policy has redacted it.

    Args:
        max_pending: the largest number of pending tasks of the client; None for no limit.
        claim: of the idempotency key; a repeated submission gets its first answer.

    Raises:
        SubmissionBlocked: the gate refuses the submission; a receipt is stored.
        NoVerdict: there is no verdict; a receipt with the reason is stored, unless the circuit is
            open.
        TooManyPending: the client has to wait until one of its tasks has begun.
        IdempotencyKeyReused: the key of `claim` came before with another body.
    """
    if claim is not None and (first := claim.first_answer()):
        return first
    try:
        return _submit(submission, gate, origin, max_pending, claim)
    except (ClaimLost, TooManyPending):
        # A request with the same key may have been quicker, and have taken the last place.
        if claim is not None and (first := claim.first_answer()):
            return first
        raise


def _submit(
    submission: Submission,
    gate: Gate,
    origin: Origin,
    max_pending: int | None,
    claim: Claim | None,
) -> Accepted:
    if origin.client_id is not None and max_pending is not None:
        check_place(origin.client_id, max_pending)
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
        blocked = SubmissionBlocked(screening.blocked_for, screening.reason)
        _insert(insert_of(receipt), claim=None if claim is None else claim.refuses(blocked))
        raise blocked
    if screening.redaction:
        submission = submission.with_texts(screening.redaction.document.fields)
    task = _task(submission, screening, receipt)
    claimed = None if claim is None else claim.accepts(task, receipt.redacted_types)
    rows = [insert_of(receipt), insert_of(task), _count(), _bell(task)]
    if task.client_id is None or max_pending is None:
        _insert(*rows, claim=claimed)
    else:
        with place_held(task.client_id, max_pending):
            _insert(*rows, claim=claimed)
    logger.info(
        "Task submitted successfully",
        extra={"task_id": str(task.pk), "priority": task.priority, "verdict": task.verdict},
    )
    return Accepted(task, receipt.redacted_types)


def _task(submission: Submission, screening: Screening, receipt: Receipt) -> Task:
    """Return the task of an accepted submission, and name it in its receipt."""
    task = Task(
        client_id=receipt.client_id,
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
    return task


def _bell(task: Task) -> Insert:
    """Return the job that tells a worker of `task`."""
    rank = bells.rank(task.priority, task.created_at, is_anonymous=task.client_id is None)
    task_id = str(task.pk)
    values = [bells.QUEUE, bells.BEGIN, rank, task_id, f'{{"task": "{task_id}"}}']
    return Insert(bells.COLUMNS, values)


def _count() -> Insert:
    """Return the counting of one pending task."""
    values = [counting.TASKS, [Status.PENDING.value], counting.part(), 1]
    return Insert(counting.COLUMNS, values, counting.ADD)


def _insert(*rows: Insert, claim: IdempotencyKey | None) -> None:
    if claim is None:
        insert_together(*rows)
    elif not insert_claimed(claim, *rows):
        raise ClaimLost


def cancel_task(task_id: UUID) -> ReadTask:
    """Cancel a task for its client; a task that is cancelled already stays as it is.

    Raises:
        InvalidTransition: the task is completed or failed.
    """
    is_changed = bool(Task.objects.cancel([task_id], acted=ActorKind.CLIENT))
    task = read_task(task_id)
    if task.status != Status.CANCELLED:
        raise InvalidTransition(task_id, Status.CANCELLED, Status(task.status))
    if is_changed:
        logger.info("Task cancelled", extra={"task_id": str(task_id), "priority": task.priority})
    return task
