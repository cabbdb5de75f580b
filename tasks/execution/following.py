"""What follows from a call: the step is done, waits for another call, is parked, or has failed.

What the run does after a step has ended is in `tasks.execution.runs`.

Repeated is only what may be repeated: what was never sent, what the arm refused as retryable, and
an unknown outcome of an arm that is idempotent.
"""

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from tasks.arms.description import Protocol
from tasks.arms.exceptions import (
    ArmError,
    Failed,
    Misconfigured,
    NotSent,
    OutcomeUnknown,
    ParameterRefused,
)
from tasks.changes import EventKind
from tasks.execution.claiming.claims import Claimed
from tasks.execution.claiming.opening import place_of
from tasks.execution.claiming.taking import MAX_TRIES
from tasks.execution.concluding import Conclusion, EndedCall, Event, status_events
from tasks.execution.failures import FailureCode
from tasks.execution.outcomes import AttemptOutcome, CallOutcome
from tasks.states import Status, StepState, TaskVerdict, WaitsFor

# Before the second, third and fourth call of a step.
BACKOFF_SECONDS: Final = (1.0, 4.0, 16.0)
# Up to this share is added, so that steps that failed together do not come back together.
JITTER: Final = 0.25
_NOTHING: Final = Decimal(0)
_OUTCOMES: Final[dict[type[ArmError], CallOutcome]] = {
    NotSent: CallOutcome.NOT_SENT,
    Misconfigured: CallOutcome.MISCONFIGURED,
    Failed: CallOutcome.FAILED,
    OutcomeUnknown: CallOutcome.UNKNOWN,
}


def outcome_of(error: ArmError) -> CallOutcome:
    return _OUTCOMES.get(type(error), CallOutcome.REFUSED)


def done(
    claimed: Claimed, call: EndedCall, answer: Any, confidence: float, verdict: TaskVerdict
) -> Conclusion:
    """Return the conclusion of a step whose answer may be stored."""
    conclusion = Conclusion(
        task_id=claimed.task_id,
        step_id=claimed.step_id,
        state=StepState.DONE,
        attempt_id=claimed.attempt_id,
        attempt_outcome=AttemptOutcome.DONE,
        call=call,
        confidence=confidence,
        verdict=verdict,
        events=[Event(EventKind.RESULT, _place(claimed))],
    )
    if not claimed.is_all:
        return replace(conclusion, answer=answer)
    return replace(
        conclusion,
        ends_run=True,
        statuses=[Status.COMPLETED],
        result=answer,
        result_confidence=confidence,
        events=[
            *conclusion.events,
            *status_events(Status.PROCESSING, [Status.COMPLETED]),
        ],
    )


def failed(claimed: Claimed, call: EndedCall, code: FailureCode) -> Conclusion:
    """Return the conclusion of a step that failed for good."""
    conclusion = Conclusion(
        task_id=claimed.task_id,
        step_id=claimed.step_id,
        state=StepState.FAILED,
        attempt_id=claimed.attempt_id,
        attempt_outcome=AttemptOutcome.FAILED,
        call=call,
        failure=code,
    )
    if not claimed.is_all:
        return conclusion
    return replace(
        conclusion,
        ends_run=True,
        run_failure=code,
        statuses=[Status.FAILED],
        events=status_events(Status.PROCESSING, [Status.FAILED]),
    )


def conclusion_after(error: ArmError, claimed: Claimed, seconds_left: float) -> Conclusion:
    """Return what follows from a call without an answer.

    Args:
        seconds_left: of the run's time.
    """
    may_repeat = _may_repeat(error, claimed) and claimed.tries < MAX_TRIES
    wait_seconds = _wait_seconds(error, claimed) if may_repeat else 0
    is_repeated = may_repeat and wait_seconds < seconds_left
    call = _ended(error, claimed, is_repeated=is_repeated)
    if seconds_left <= 0:
        return failed(claimed, call, FailureCode.TIMED_OUT)
    if isinstance(error, Misconfigured):
        return _parked(claimed, call)
    if not may_repeat:
        return failed(claimed, call, _failure(error, claimed))
    if not is_repeated:
        return failed(claimed, call, FailureCode.TIMED_OUT)
    return Conclusion(
        task_id=claimed.task_id,
        step_id=claimed.step_id,
        state=StepState.READY,
        attempt_id=claimed.attempt_id,
        attempt_outcome=AttemptOutcome.RETRIED,
        call=call,
        wake_in_seconds=wait_seconds,
        forgets_request=isinstance(error, ParameterRefused)
        or (isinstance(error, NotSent) and not claimed.has_unknown),
        events=[Event(EventKind.RETRY, {**_place(claimed), "call": claimed.number})],
    )


def _may_repeat(error: ArmError, claimed: Claimed) -> bool:
    if isinstance(error, NotSent):
        return True
    if isinstance(error, OutcomeUnknown):
        return claimed.arm.is_idempotent
    return error.is_retryable


def _failure(error: ArmError, claimed: Claimed) -> FailureCode:
    """Return why a step failed whose call is not repeated."""
    # Of an earlier call, only an answer of the arm says what came out.
    is_unknown = isinstance(error, OutcomeUnknown) or (
        claimed.has_unknown and (isinstance(error, NotSent) or error.is_retryable)
    )
    return FailureCode.OUTCOME_UNKNOWN if is_unknown else FailureCode.ARM_FAILED


def _ended(error: ArmError, claimed: Claimed, *, is_repeated: bool) -> EndedCall:
    """Return the end of the call with what it used; what is not known counts as reserved."""
    outcome = outcome_of(error)
    tokens, cost_usd = error.usage.tokens, error.usage.cost_usd
    # An arm that knows the key carries the request out once, however often it gets it.
    is_paid_later = is_repeated and claimed.arm.protocol is Protocol.OCTOLLM
    if is_paid_later or outcome not in (CallOutcome.FAILED, CallOutcome.UNKNOWN):
        tokens, cost_usd = tokens or 0, cost_usd or _NOTHING
    return EndedCall(claimed.call_id, outcome, tokens, cost_usd, error.detail)


def _wait_seconds(error: ArmError, claimed: Claimed) -> float:
    if isinstance(error, ParameterRefused):
        return 0
    backoff = BACKOFF_SECONDS[claimed.tries - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311
    return max(backoff, error.retry_after_seconds)


def _parked(claimed: Claimed, call: EndedCall) -> Conclusion:
    data = {**_place(claimed), "waits_for": WaitsFor.ARM.value}
    # The arm may have carried it out already; another one would do so again.
    only_arm = claimed.arm.name if claimed.has_unknown else claimed.pinned_arm
    return Conclusion(
        task_id=claimed.task_id,
        step_id=claimed.step_id,
        state=StepState.READY,
        attempt_id=claimed.attempt_id,
        attempt_outcome=AttemptOutcome.PARKED,
        call=call,
        waits_for=WaitsFor.ARM,
        waits_at=only_arm or "",
        forgets_request=not claimed.has_unknown,
        events=[Event(EventKind.PARK, data)],
    )


def _place(claimed: Claimed) -> dict[str, Any]:
    return place_of(claimed.run, claimed.step, claimed.role)
