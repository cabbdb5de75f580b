"""Runs at the moment at which one of their steps has just ended."""

from typing import Any
from uuid import uuid4

from django.utils import timezone

from tasks.execution.concluding import Conclusion
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import Judgement
from tasks.execution.runs.state import RunState, read_run
from tasks.models import Arm
from tasks.states import StepState
from tests.factories import TaskFactory
from tests.tasks.lives import run_of, step_of

ARMS = {"helper": ["execute"], "planner": ["plan"], "judge": ["validate"]}
_FINAL = ("done", "failed", "cancelled")


def one(role: str, number: int, state: str = "done", **fields: Any) -> dict[str, Any]:
    """Return the fields of a step; one that is done has its number as its answer."""
    if state in _FINAL:
        fields["ended_at"] = timezone.now()
    if state == "done":
        fields = {"answer": number, "confidence": 0.9} | fields
    if state == "failed":
        fields = {"failure_code": "arm_failed"} | fields
    if role in ("execute", "repair"):
        fields = {"arm_id": "helper"} | fields
    return {"id": uuid4(), "role": role, "number": number, "state": state} | fields


def ended(role: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return the fields of the step that has just ended."""
    return one(role, number, "running", **fields)


def moment(
    *steps: dict[str, Any],
    answer: Any = None,
    failure: FailureCode | None = None,
    criteria: tuple[str, ...] = (),
    judgements: tuple[Judgement, ...] = (),
    arms: dict[str, list[str]] = ARMS,
) -> RunState:
    """Return a run with these steps, the last of which has just ended with this answer."""
    for name, capabilities in arms.items():
        Arm.objects.create(name=name, protocol="octollm", url="http://a", capabilities=capabilities)
    task = TaskFactory(processing=True, acceptance_criteria=[*criteria])
    run = run_of(task)
    run.verdicts = [judgement.stored for judgement in judgements] or None
    run.save()
    for fields in steps:
        step_of(run, **fields)
    conclusion = Conclusion(
        task_id=task.pk,
        step_id=steps[-1]["id"],
        state=StepState.FAILED if failure else StepState.DONE,
        answer=answer,
        failure=failure,
        confidence=None if failure else 0.8,
    )
    return read_run(run.pk, conclusion)
