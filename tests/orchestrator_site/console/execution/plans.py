"""Runs with plans, checks, repairs and decisions, as their rows would be."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tasks.models import Budget, Call, Run, Step, Task
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import (
    an_arm,
    attempt_at,
    call_of,
    step_of,
)
from tests.orchestrator_site.console.tasks.console_actions import start_worker

# Of each step of the plan: its action, and what it needs.
PLAN: dict[int, tuple[str, list[int]]] = {
    1: ("Read what customers say about the kettle", []),
    2: ("Read what customers say about the toaster", []),
    3: ("Read what customers say about the lamp", []),
    4: ("Compare the kettle with the toaster", [1, 2]),
    5: ("List the complaints about the lamp", [3]),
    6: ("Write the comparison of all three", [4, 5]),
}
CAPABILITIES = {"plan": "plan", "judge": "validate", "decide": "validate"}


def new_run(task: Task | None = None, **fields: Any) -> Run:
    task = task or TaskFactory(processing=True)
    now = timezone.now()
    times = {"started_at": now - timedelta(minutes=1), "ends_at": now + timedelta(minutes=9)}
    run: Run = Run.objects.create(task=task, **{"number": 1} | times | fields)
    Budget.objects.create(run=run, max_tokens=10_000, max_cost_usd=1)
    return run


def add_step(run: Run, number: int, role: str = "execute", **fields: Any) -> Step:
    """Return a step of a run; by default it is done, with one call to the arm `helper`."""
    values = {"number": number, "role": role, "capability": CAPABILITIES.get(role, "execute")}
    state = fields.get("state", "done")
    if state in ("done", "failed", "cancelled"):
        values |= {"ended_at": timezone.now()}
    has_call = role != "decide" and state in ("done", "failed")
    if has_call:
        values |= {"arm": an_arm(), "tries": 1}
    step = step_of(run, **{"state": state} | values | fields)
    if has_call:
        now = timezone.now()
        worker = start_worker()
        attempt = attempt_at(step, worker=worker, ended_at=now, outcome="done")
        call_of(attempt)
    return step


def add_plan(run: Run, revision: int = 1, **fields: Any) -> Step:
    answer = {"steps": [{"step_number": 1, "action": "the action in the plan"}]}
    return add_step(run, 0, "plan", revision=revision, **{"answer": answer} | fields)


def add_steps(run: Run, **of_step: dict[str, Any]) -> dict[int, Step]:
    """Return the six steps of the plan, all done; `step_2` changes fields of the second one."""
    return {
        number: add_step(
            run,
            number,
            **{
                "action": action,
                "depends_on": needs,
                "answer": f"the answer of step {number}",
                "estimated_seconds": 4,
                "verdict": "safe",
            }
            | of_step.get(f"step_{number}", {}),
        )
        for number, (action, needs) in PLAN.items()
    }


def planned(task: Task | None = None, **of_step: dict[str, Any]) -> Run:
    """Return a run with a plan of six steps."""
    run = new_run(task)
    add_plan(run)
    add_steps(run, **of_step)
    return run


def verdict(
    verdict: str, by: str | None = "rule", evidence: str = "", confidence: float = 1
) -> Any:
    return {"verdict": verdict, "by": by, "evidence": evidence, "confidence": confidence}


def undecided(evidence: str = "No other arm can judge it.", by: str | None = None) -> Any:
    return verdict("undecided", by, evidence, 0.5)


def waiting_for_a_decision(task: Task | None = None, **fields: Any) -> Step:
    """Return a decision that is asked for about the answer of a step, with one open criterion."""
    task = task or TaskFactory(processing=True, acceptance_criteria=["is short", "is kind"])
    run = new_run(task, verdicts=[verdict("met"), undecided()], parked_at=timezone.now())
    add_step(run, 1, answer="the answer of step 1", confidence=0.9)
    values = {"waits_for": "decision", "parked_at": timezone.now(), "depends_on": [1]}
    return add_step(run, 2, "decide", state="ready", **values | fields)


def usage(step: Step, **used: Any) -> None:
    """Change what the only call of a step used."""
    Call.objects.filter(step=step).update(**used)
