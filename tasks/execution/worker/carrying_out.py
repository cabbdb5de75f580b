"""Carrying out a claimed step: the call, the screening of its answer, and what becomes of it."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from safety.document import MAX_ANSWER_TEXT_BYTES, Document
from safety.exceptions import NoVerdict
from safety.gate import Gate
from safety.models import Occasion
from safety.origin import Origin
from safety.outbound.transport import Deadline
from safety.policy import Verdict
from safety.receipts import receipt_of
from safety.screening import Screening
from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm, Health
from tasks.arms.exceptions import (
    ArmError,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    ParameterRefused,
)
from tasks.arms.work import Answer
from tasks.execution.claiming.claims import Claimed, Claims
from tasks.execution.claiming.taking import LEASE_SECONDS
from tasks.execution.concluding import Conclusion, EndedCall, end_call, has_outcome
from tasks.execution.failures import FailureCode
from tasks.execution.following import conclusion_after, done, failed, outcome_of
from tasks.execution.outcomes import CallOutcome
from tasks.execution.parked import ring_parked
from tasks.execution.ringing import ring_check
from tasks.execution.runs.finishing import finish
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.execution.worker.leases import Holding, Leases
from tasks.models import Arm as ArmRow
from tasks.states import StepState, TaskVerdict

# How long a worker tries to store what it has brought while the database is away.
STORE_SECONDS: Final = 60
STORE_AGAIN_SECONDS: Final = 0.5
_AWAY: Final = (OperationalError, InterfaceError)

logger = logging.getLogger(__name__)


class Carrier:
    """Carries out steps in the threads of a worker.

    Args:
        adapter_of: returns the adapter for an arm.
        gate: screens what arms answer.
        allowance: bounds how long a thread waits for the database at a time.
        options: what operators choose about plans and checks.
        wake: lets this worker look for jobs at once.
    """

    def __init__(
        self,
        *,
        claims: Claims,
        leases: Leases,
        adapter_of: Callable[[Arm], Adapter],
        gate: Gate,
        allowance: Callable[[], AbstractContextManager[None]],
        options: RunOptions = DEFAULT,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._wake = wake
        self._claims = claims
        self._leases = leases
        self._adapter_of = adapter_of
        self._gate = gate
        self._allowance = allowance

    def carry_out_task(self, task_id: UUID) -> None:
        """Begin the next run of a task, if it is pending."""
        self._carry_out(lambda: self._claims.claim_task(task_id))

    def carry_out_step(self, step_id: UUID) -> None:
        """Go on with a step, if nobody has it."""
        self._carry_out(lambda: self._claims.claim_step(step_id))

    def _carry_out(self, claim: Callable[[], Claimed | None]) -> None:
        began_at = time.monotonic()
        with self._allowance():
            claimed = claim()
        if claimed is None:
            return
        ends_at = time.monotonic() + claimed.run_seconds_left
        logger.info("Step claimed", extra=_fields(claimed))
        with self._leases.held(claimed.attempt_id) as holding:
            deadline = Deadline(claimed.timeout_seconds)
            holding.begin_call(deadline)
            started = time.monotonic()
            try:
                _check_lease(began_at)
                answer = self._adapter_of(claimed.arm).call(
                    claimed.body,
                    capability=claimed.capability,
                    key=claimed.step_id,
                    subject_id=claimed.task_id,
                    request_id=str(claimed.step_id),
                    deadline=deadline,
                )
            except ArmError as error:
                _log_call(claimed, outcome_of(error), time.monotonic() - started, error.detail)
                if not holding.is_dead:
                    self._after(error, claimed, seconds_left=ends_at - time.monotonic())
                return
            _log_call(claimed, CallOutcome.SUCCEEDED, time.monotonic() - started)
            self._finish(answer, claimed, holding, ends_at)

    def _after(self, error: ArmError, claimed: Claimed, *, seconds_left: float) -> None:
        """Write what follows from a call without an answer."""
        self._persist(lambda: _tell_registry(error, claimed.arm.name))
        self._store(conclusion_after(error, claimed, seconds_left), claimed)

    def _finish(self, answer: Answer, claimed: Claimed, holding: Holding, ends_at: float) -> None:
        """Screen the answer and store it."""
        usage = answer.usage
        call = EndedCall(
            claimed.call_id, CallOutcome.SUCCEEDED, tokens=usage.tokens, cost_usd=usage.cost_usd
        )
        screening = self._screened(answer, claimed, call, holding, ends_at)
        if holding.is_dead:
            return
        if screening is None:
            self._store(failed(claimed, call, FailureCode.ANSWER_UNSCREENED), claimed)
            return
        receipt = receipt_of(
            screening,
            policy_version=self._gate.policy_version,
            origin=Origin(str(claimed.step_id), "", claimed.client_id),
            occasion=Occasion.ANSWER,
            subject_id=claimed.task_id,
        )
        if screening.verdict is Verdict.BLOCKED:
            conclusion = failed(claimed, call, FailureCode.OUTPUT_REFUSED)
        else:
            redaction = screening.redaction
            fields = screening.document.fields if redaction is None else redaction.document.fields
            verdict = TaskVerdict(screening.verdict.value)
            conclusion = done(claimed, call, fields["result"], answer.confidence, verdict)
        self._store(replace(conclusion, receipt=receipt), claimed)

    def _screened(
        self, answer: Answer, claimed: Claimed, call: EndedCall, holding: Holding, ends_at: float
    ) -> Screening | None:
        """Return the screening of an answer; None if there is none until the run's time ends.

        Only the screening is repeated, with the answer in memory. The call has ended and is paid.
        """
        document = Document({"result": answer.result}, max_text_bytes=MAX_ANSWER_TEXT_BYTES)
        is_stored = False
        while True:
            try:
                return self._gate.screen(document, request_id=str(claimed.step_id))
            except NoVerdict as error:
                if not is_stored:
                    self._store_call(call, claimed)
                    is_stored = True
                pause = min(error.retry_after_seconds, ends_at - time.monotonic())
                if pause <= 0 or holding.wait(pause):
                    return None

    def _store_call(self, call: EndedCall, claimed: Claimed) -> None:
        conclusion = Conclusion(
            task_id=claimed.task_id,
            step_id=claimed.step_id,
            state=StepState.RUNNING,
            attempt_id=claimed.attempt_id,
            call=call,
        )
        self._persist(lambda: end_call(conclusion))

    def _store(self, conclusion: Conclusion, claimed: Claimed) -> None:
        """Store a conclusion, and log it; log that, too, if the attempt has ended meanwhile."""
        written = self._persist(lambda: finish(conclusion, self._options))
        if written is None and not self._is_written(conclusion):
            logger.warning("Late write refused", extra=_fields(claimed))
            return
        _log_end(written.conclusion if written else conclusion, claimed)
        if written and written.others_wait:
            with self._allowance():
                ring_parked(arm=claimed.arm.name)
        if conclusion.is_over and not claimed.is_all:
            # What follows is most likely for this worker.
            self._wake()

    def _persist(self, write: Callable[[], Any]) -> Any:
        """Write, again and again while the database is away."""
        give_up_at = time.monotonic() + STORE_SECONDS
        while True:
            try:
                with self._allowance():
                    return write()
            except _AWAY:
                connection.close()
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(STORE_AGAIN_SECONDS)

    def _is_written(self, conclusion: Conclusion) -> bool:
        """Return whether an earlier COMMIT, whose answer was lost, has written the conclusion."""
        return bool(
            self._persist(lambda: has_outcome(conclusion.attempt_id, conclusion.attempt_outcome))
        )


def _check_lease(began_at: float) -> None:
    """Send nothing if the process was stopped for as long as a lease after it began to claim.

    Raises:
        NotSent: another worker may have taken over.
    """
    if time.monotonic() - began_at > LEASE_SECONDS:
        raise NotSent("the worker was stopped before the call")


def _tell_registry(error: ArmError, arm: str) -> None:
    """Write what a call without an answer says about its arm; the same twice is once."""
    if isinstance(error, NotSent | OutcomeUnknown):
        ring_check(arm)
    if isinstance(error, ParameterRefused):
        ArmRow.objects.leave_out(arm, error.parameter)
    if isinstance(error, Misconfigured):
        ArmRow.objects.record_health(arm, Health.MISCONFIGURED)


def _fields(claimed: Claimed) -> dict[str, Any]:
    """Return the fields of a log line; none of them is anybody's text."""
    return {
        "task_id": str(claimed.task_id),
        "priority": claimed.priority,
        "arm": claimed.arm.name,
        "run": claimed.run,
        "step": claimed.step,
        "call": claimed.number,
    }


def _log_call(claimed: Claimed, outcome: CallOutcome, seconds: float, detail: str = "") -> None:
    extra = {**_fields(claimed), "outcome": outcome.value, "seconds": round(seconds, 3)}
    logger.info("Arm called", extra={**extra, "detail": detail} if detail else extra)


def _log_end(conclusion: Conclusion, claimed: Claimed) -> None:
    extra = _fields(claimed)
    match conclusion.state:
        case _ if conclusion.run_failure:
            logger.info("Task failed", extra={**extra, "failure": conclusion.run_failure})
        case _ if conclusion.ends_run:
            logger.info("Task completed", extra=extra)
        case StepState.DONE:
            logger.info("Step done", extra=extra)
        case StepState.FAILED:
            logger.info("Step failed", extra={**extra, "failure": conclusion.failure})
        case _ if conclusion.waits_for:
            logger.info("Step parked", extra={**extra, "waits_for": conclusion.waits_for})
        case _:
            wait = conclusion.wake_in_seconds
            logger.info("Step waits for another call", extra={**extra, "seconds": wait})
