"""What an arm is given for a step: no more than the step needs."""

from typing import Any, Final

from django.db import connection

from tasks.arms.description import MAX_TIMEOUT_SECONDS, Capability
from tasks.arms.work import Work
from tasks.execution.claiming.opening import Opened
from tasks.execution.claiming.shares import Share
from tasks.execution.runs.needs import enabled_arms
from tasks.execution.runs.plan import MAX_STEPS
from tasks.execution.runs.state import answers_of, result_of
from tasks.states import StepRole

_ACTIONS: Final = """
    SELECT number, action, failure_code FROM steps
    WHERE run_id = %s AND role = 'execute' AND state IN ('done', 'failed') ORDER BY number
"""


def work_of(opened: Opened, share: Share, left: Share, timeout_seconds: float) -> Work:
    """Return the work of a step.

    Args:
        share: what it may use of the budget.
        left: what it may use if its request is long.
        timeout_seconds: for one call.
    """
    fields: dict[str, Any] = {
        "goal": opened.goal,
        "context": opened.context,
        "acceptance_criteria": opened.acceptance_criteria,
    }
    return Work(
        subject_id=opened.task_id,
        key=opened.step_id,
        capability=Capability(opened.capability),
        constraints=opened.constraints,
        priority=opened.priority,
        max_tokens=share.tokens,
        max_time_seconds=max(1, int(opened.seconds_left)),
        max_cost_usd=share.usd,
        left_tokens=left.tokens,
        left_usd=left.usd,
        created_at=opened.created_at,
        deadline_at=opened.run_ends_at,
        timeout_seconds=max(1, min(int(timeout_seconds), MAX_TIMEOUT_SECONDS)),
        **fields | _of_role(opened),
    )


def _of_role(opened: Opened) -> dict[str, Any]:
    """Return what the step is given instead of the task, or beside it."""
    match opened.role:
        case StepRole.PLAN:
            return {"context": opened.context | {"planning": _planning(opened)}}
        case StepRole.JUDGE:
            return {
                "output": result_of(_answers(opened)),
                "acceptance_criteria": opened.step_criteria,
                "context": opened.context | {"task_goal": opened.goal},
            }
        case StepRole.REPAIR:
            return {"context": opened.context | {"repair": _repair(opened)}}
    if not opened.action:
        return {}
    results = {str(number): answer for number, answer in _answers(opened).items()}
    return {
        "goal": opened.action,
        "acceptance_criteria": opened.step_criteria,
        "context": opened.context | {"task_goal": opened.goal, "results": results},
    }


def _planning(opened: Opened) -> dict[str, Any]:
    planning = {
        "arms": _arms(),
        "max_steps": MAX_STEPS,
        "max_time_seconds": max(1, int(opened.seconds_left)),
        "acceptance_criteria": opened.acceptance_criteria,
    }
    if opened.faults:
        planning["faults"] = opened.faults
    if opened.run_id is not None:
        planning |= _so_far(opened)
    return planning


def _arms() -> list[dict[str, Any]]:
    """Return the arms that a plan may name."""
    return [
        {"name": name, "capabilities": capabilities}
        for name, capabilities in enabled_arms().items()
        if Capability.EXECUTE in capabilities
    ]


def _so_far(opened: Opened) -> dict[str, Any]:
    """Return the steps of the last plan that are done, and those that failed."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIONS, [opened.run_id])
        rows = cursor.fetchall()
    answers = _answers(opened)
    done = {
        str(number): {"action": action, "result": answers[number]}
        for number, action, failure in rows
        if failure is None and number in answers
    }
    failed = [{"action": action, "failure": code} for _, action, code in rows if code is not None]
    return {"done": done, "failed": failed} if rows else {}


def _repair(opened: Opened) -> dict[str, Any]:
    repair = {"result": result_of(_answers(opened)), "failed": opened.faults}
    return repair | {"guidance": opened.action} if opened.action else repair


def _answers(opened: Opened) -> dict[int, Any]:
    if opened.run_id is None:
        return {}
    return answers_of(opened.run_id, opened.depends_on)
