"""Claiming a step: one transaction in which of many workers one wins.

It takes the step, a place at an arm and a part of the budget, and it writes down the call that
follows: what is not written is not sent. A step that nobody can carry out now is parked, and has no
job until that changes.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm, Capability, Protocol
from tasks.arms.exceptions import TooLittleBudget
from tasks.arms.work import Request
from tasks.execution.claiming import taking
from tasks.execution.claiming.materials import work_of
from tasks.execution.claiming.opening import Opened, open_step, open_task
from tasks.execution.claiming.routing import choose_arm
from tasks.execution.claiming.shares import left_for, share_of
from tasks.execution.endings import end_if_over
from tasks.execution.failures import FailureCode
from tasks.execution.parked import ring_others
from tasks.execution.runs.needs import is_there_an_arm
from tasks.execution.runs.options import DEFAULT, RunOptions
from tasks.states import StepRole, WaitsFor

# Less than a lease.
LOOK_UP_SECONDS: Final = 10.0
LOOK_UP_AGAIN_SECONDS: Final = 0.5
_IS_LIVE: Final = """
    SELECT EXISTS (
        SELECT 1 FROM attempts
        WHERE id = %s AND ended_at IS NULL AND lease_until > clock_timestamp()
    )
"""
# How often the place at an arm may be lost to another worker before the step is parked.
MAX_RACES: Final = 5
# From one look at a budget that open calls have reserved to the next.
BUDGET_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Claimed:
    """A step that this worker has to carry out, with the call that it begins with.

    Attributes:
        number: of the call; 1 for the first.
        tries: the same, without the calls whose worker was lost.
        step, role: the number of the step, and what it is for.
        is_all: whether the task is done with this step.
        has_unknown: whether the outcome of an earlier call is unknown.
        timeout_seconds: for the call, to the last byte.
        run_seconds_left: until the time of the run is over.
    """

    task_id: UUID
    client_id: UUID | None
    priority: str
    step_id: UUID
    run: int
    step: int
    role: str
    capability: Capability
    is_all: bool
    pinned_arm: str | None
    attempt_id: int
    call_id: int
    number: int
    tries: int
    arm: Arm
    body: bytes
    has_unknown: bool
    timeout_seconds: float
    run_seconds_left: float


class PlaceLost(Exception):
    """Another worker took the last place at the arm."""


class Claims:
    """The claims of one worker.

    Args:
        adapter_of: returns the adapter that makes the requests for an arm.
        max_cost_usd_per_day: what all calls of a UTC day may cost; None for no limit.
        options: what operators choose about plans and checks.
    """

    def __init__(
        self,
        *,
        worker_id: UUID,
        adapter_of: Callable[[Arm], Adapter],
        max_cost_usd_per_day: Decimal | None,
        options: RunOptions = DEFAULT,
    ) -> None:
        self._worker_id = worker_id
        self._adapter_of = adapter_of
        self._max_cost_usd_per_day = max_cost_usd_per_day
        self._options = options

    def claim_task(self, task_id: UUID) -> Claimed | None:
        """Begin the next run of a pending task.

        Return None if there is nothing to do, if the step was parked, or if it has failed.
        """
        return self._claim(lambda: open_task(task_id, self._options.planning))

    def claim_step(self, step_id: UUID) -> Claimed | None:
        """Claim a step that is ready, or whose attempt lost its lease."""

        def open_it() -> Opened | None:
            opened = open_step(step_id)
            if opened is None:
                end_if_over(step_id)
            return opened

        return self._claim(open_it)

    def _claim(self, open_one: Callable[[], Opened | None]) -> Claimed | None:
        for race in range(MAX_RACES):
            claimed = None
            try:
                with transaction.atomic():
                    opened = open_one()
                    if opened is None or not _is_due(opened):
                        return None
                    claimed = self._decide(opened, is_last=race == MAX_RACES - 1)
            except PlaceLost:
                continue
            except (OperationalError, InterfaceError):
                # The answer to the COMMIT may be lost. If the claim was committed, nobody else
                # knows that nothing has been sent yet.
                if claimed is None or not _is_committed(claimed):
                    raise
            return claimed
        return None

    def _decide(self, opened: Opened, *, is_last: bool) -> Claimed | None:
        """Claim the step, park it, or let it fail."""
        if opened.attempt_id is not None:
            opened = taking.end_lost_attempt(opened)
        if code := _failure(opened):
            taking.fail(opened, code, self._options)
            return None
        if opened.is_paused:
            taking.park(opened, WaitsFor.RESUME)
            return None
        choice = choose_arm(
            capability=opened.capability,
            pinned_arm=opened.arm or opened.pinned_arm,
            client_id=opened.client_id,
            not_by=opened.authors,
        )
        if choice is None and opened.role == StepRole.JUDGE and not _has_judge(opened):
            taking.fail(opened, FailureCode.ARM_FAILED, self._options)
            return None
        if choice is None:
            taking.park(opened, WaitsFor.ARM)
            return None
        if not choice.has_room or is_last:
            taking.park(opened, WaitsFor.ROOM)
            if choice.is_share_taken:
                ring_others(opened.client_id)
            return None
        return self._take(opened, choice.arm)

    def _take(self, opened: Opened, arm: Arm) -> Claimed | None:
        timeout_seconds = min(float(arm.timeout_seconds), opened.seconds_left)
        try:
            request = self._request(opened, arm, timeout_seconds)
        except TooLittleBudget:
            if opened.has_open_calls:
                # They may use less than they have reserved.
                taking.wait(opened, BUDGET_AGAIN_SECONDS)
            else:
                taking.fail(opened, FailureCode.BUDGET_EXHAUSTED, self._options)
            return None
        day = None
        if self._max_cost_usd_per_day is not None:
            day = taking.reserve_day(request, self._max_cost_usd_per_day)
            if day is None:
                taking.park(opened, WaitsFor.BUDGET)
                return None
        written = taking.take(
            opened,
            arm=arm,
            request=request,
            digest=hashlib.sha256(request.body).digest(),
            worker_id=self._worker_id,
            day=day,
        )
        if written is None:
            raise PlaceLost
        return _claimed(opened, written, arm, request, timeout_seconds)

    def _request(self, opened: Opened, arm: Arm, timeout_seconds: float) -> Request:
        """Return the request of the first call again, or make it.

        Raises:
            TooLittleBudget: what is left does not allow it.
        """
        left = left_for(opened)
        share = share_of(opened, left)
        if share.tokens <= 0 or share.usd < 0:
            raise TooLittleBudget
        if opened.request is None:
            work = work_of(opened, share, left, timeout_seconds)
            request = self._adapter_of(arm).request(work)
        else:
            last = opened.last_call
            request = Request(opened.request, last.reserved_tokens, last.reserved_usd)
        if arm.protocol is Protocol.OCTOLLM:
            # Such an arm gets its share of what is left, whatever that is by now.
            return replace(
                request,
                tokens=min(request.tokens, share.tokens),
                cost_usd=min(request.cost_usd, share.usd),
            )
        if request.tokens > left.tokens or request.cost_usd > left.usd:
            raise TooLittleBudget
        return request


def _claimed(
    opened: Opened, written: taking.Taken, arm: Arm, request: Request, timeout_seconds: float
) -> Claimed:
    return Claimed(
        task_id=opened.task_id,
        client_id=opened.client_id,
        priority=opened.priority,
        step_id=opened.step_id,
        run=opened.run,
        step=opened.step,
        role=opened.role,
        capability=Capability(opened.capability),
        is_all=opened.is_all,
        pinned_arm=opened.pinned_arm,
        attempt_id=written.attempt_id,
        call_id=written.call_id,
        number=opened.tries + 1,
        tries=opened.tries - opened.leases_lost + 1,
        arm=arm,
        body=request.body,
        has_unknown=opened.has_unknown,
        timeout_seconds=timeout_seconds,
        run_seconds_left=opened.seconds_left,
    )


def _is_committed(claimed: Claimed) -> bool:
    """Return whether a claim was committed, as soon as the database is back.

    Raises:
        OperationalError, InterfaceError: it is not back before the lease ends.
    """
    give_up_at = time.monotonic() + LOOK_UP_SECONDS
    while True:
        connection.close()
        try:
            with connection.cursor() as cursor:
                cursor.execute(_IS_LIVE, [claimed.attempt_id])
                return bool(cursor.fetchone()[0])
        except (OperationalError, InterfaceError):
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(LOOK_UP_AGAIN_SECONDS)


def _is_due(opened: Opened) -> bool:
    """Return whether somebody may claim the step now."""
    if opened.has_lease or opened.waits_for in (WaitsFor.RELEASE, WaitsFor.DECISION):
        return False
    return opened.wake_at is None or opened.wake_at <= opened.now


def _failure(opened: Opened) -> FailureCode | None:
    """Return why the step cannot go on, whatever arm it would get."""
    if opened.seconds_left <= 0:
        return FailureCode.TIMED_OUT
    if opened.leases_lost >= taking.MAX_LEASES_LOST:
        return FailureCode.TOO_MANY_ATTEMPTS
    has_tries = opened.tries - opened.leases_lost < taking.MAX_TRIES
    # Without an arm, the last call ended with a refused parameter: completions change nothing.
    if opened.has_unknown and (not has_tries or opened.is_arm_idempotent is False):
        return FailureCode.OUTCOME_UNKNOWN
    return None if has_tries else FailureCode.ARM_FAILED


def _has_judge(opened: Opened) -> bool:
    """Return whether an arm may judge the result, be it down or busy."""
    return is_there_an_arm(Capability(opened.capability), not_by=opened.authors or [])
