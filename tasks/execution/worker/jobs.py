"""The jobs of procrastinate; `tasks.execution.bells` has their names.

Jobs only call the runtime of their worker, which every job gets as its context.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from procrastinate import JobContext
from procrastinate.contrib.django import app

from tasks import bulk
from tasks.execution import bells
from tasks.execution.parked import ring_parked
from tasks.execution.ringing import ring_action
from tasks.execution.worker.carrying_out import Carrier
from tasks.execution.worker.checks import Checks

RUNTIME: Final = "runtime"
# Then the job rings itself again, so that a check of an arm gets its turn.
ACTION_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Runtime:
    """What the jobs of one worker share."""

    carrier: Carrier
    checks: Checks


def _runtime(context: JobContext) -> Runtime:
    runtime: Runtime = context.additional_context[RUNTIME]
    return runtime


@app.task(name=bells.BEGIN, queue=bells.QUEUE, pass_context=True)
def begin(context: JobContext, task: str) -> None:
    _runtime(context).carrier.carry_out_task(UUID(task))


@app.task(name=bells.CARRY_OUT, queue=bells.QUEUE, pass_context=True)
def carry_out(context: JobContext, step: str) -> None:
    _runtime(context).carrier.carry_out_step(UUID(step))


@app.task(name=bells.ACT, queue=bells.STAFF_QUEUE)
def act(action: str) -> None:
    action_id = UUID(action)
    if bulk.proceed(action_id, seconds=ACTION_SECONDS):
        ring_action(action_id)


@app.task(name=bells.CHECK_ARM, queue=bells.STAFF_QUEUE, pass_context=True)
def check_arm(context: JobContext, arm: str) -> None:
    if _runtime(context).checks.check(arm):
        ring_parked(arm=arm)
