"""A run as it is when one of its steps has just ended: all that decides what it does next."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.db import connection

from tasks.arms.description import Capability
from tasks.execution.concluding import Conclusion
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import Judgement, judgement_of
from tasks.execution.runs.needs import enabled_arms
from tasks.states import OPEN_STATES, StepRole, StepState

_RUN: Final = """
    SELECT number, tasks.acceptance_criteria, verdicts, coalesce(extract(epoch FROM
        ends_at + coalesce(clock_timestamp() - runs.parked_at, interval '0') - clock_timestamp()
    ), max_time_seconds)
    FROM runs JOIN tasks ON tasks.id = runs.task_id WHERE runs.id = %s
"""
# Without the answers, which may be long.
_STEPS: Final = """
    SELECT id, revision, number, role, state, depends_on, action, faults, arm, confidence,
        failure_code, EXISTS (
            SELECT 1 FROM calls WHERE step_id = steps.id AND outcome = 'unknown'
        )
    FROM steps WHERE run_id = %s ORDER BY revision, number
"""
_ANSWERS: Final = """
    SELECT number, answer FROM steps
    WHERE run_id = %s AND number = ANY(%s) AND number > 0 AND answer IS NOT NULL ORDER BY number
"""


@dataclass(frozen=True)
class Node:
    """A step of the run.

    Attributes:
        has_unknown: whether the outcome of one of its calls is unknown.
    """

    id: UUID
    revision: int
    number: int
    role: StepRole
    state: StepState
    depends_on: tuple[int, ...] = ()
    action: str = ""
    faults: tuple[Any, ...] = ()
    arm: str | None = None
    confidence: float | None = None
    failure: FailureCode | None = None
    has_unknown: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def may_have_effect(self) -> bool:
        """Whether an arm works on it, or may have carried it out."""
        is_tried_again = self.state is StepState.READY and self.has_unknown
        return self.state is StepState.RUNNING or is_tried_again


@dataclass(frozen=True)
class RunState:
    """A run whose rows are locked.

    Attributes:
        criteria: the acceptance criteria of the task.
        judgements: the newest ones, in the order of the criteria; empty before the first check.
        nodes: its steps in their order; that which has just ended is as it will be.
        ended: that step.
        answer: what it brought; None if it failed.
    """

    id: int
    number: int
    task_id: UUID
    criteria: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    seconds_left: float
    nodes: tuple[Node, ...]
    ended: Node
    answer: Any = None

    @property
    def steps(self) -> list[Node]:
        """The steps of all plans, or the only one."""
        return self.with_roles(StepRole.EXECUTE)

    @property
    def current_steps(self) -> list[Node]:
        """The steps of the newest plan."""
        newest = max(node.revision for node in self.steps)
        return [node for node in self.steps if node.revision == newest]

    @property
    def done_steps(self) -> list[Node]:
        return [node for node in self.steps if node.state is StepState.DONE]

    @property
    def plans(self) -> int:
        """How many plans were valid."""
        return len({node.revision for node in self.steps}) if self.is_planned else 0

    @property
    def is_planned(self) -> bool:
        return bool(self.with_roles(StepRole.PLAN))

    @property
    def next_number(self) -> int:
        return max(node.number for node in self.nodes) + 1

    @property
    def revision(self) -> int:
        return max(node.revision for node in self.nodes)

    @property
    def leaves(self) -> tuple[int, ...]:
        """The numbers of the steps that are done and that no other one needed."""
        needed = {number for node in self.done_steps for number in node.depends_on}
        return tuple(node.number for node in self.done_steps if node.number not in needed)

    @property
    def may_be_judged(self) -> bool:
        """Whether an arm can judge the result that had no part in it."""
        authors = {node.arm for node in self.with_roles(*AUTHORS)}
        return any(
            Capability.VALIDATE in capabilities and name not in authors
            for name, capabilities in self.arms.items()
        )

    @cached_property
    def arms(self) -> dict[str, list[str]]:
        """The capabilities of each enabled arm."""
        return enabled_arms()

    def with_roles(self, *roles: StepRole) -> list[Node]:
        return [node for node in self.nodes if node.role in roles]

    def answers(self, numbers: Collection[int]) -> dict[int, Any]:
        """Return the answers of these steps, by their numbers."""
        answers = answers_of(self.id, [*numbers])
        if self.ended.number in numbers and self.answer is not None:
            answers[self.ended.number] = self.answer
        return dict(sorted(answers.items()))

    def result(self, numbers: Sequence[int]) -> Any:
        """Return the result that these steps make up: one answer, or an object of several."""
        return result_of(self.answers(numbers))

    def confidences(self, numbers: Collection[int]) -> list[float]:
        return [
            node.confidence
            for node in self.nodes
            if node.number in numbers and node.confidence is not None
        ]


# Their answers become the result.
AUTHORS: Final = (StepRole.EXECUTE, StepRole.REPAIR)


def answers_of(run_id: int, numbers: list[int]) -> dict[int, Any]:
    """Return the answers of steps of a run, by their numbers."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, [run_id, numbers])
        # Django returns jsonb as text.
        return {number: json.loads(answer) for number, answer in cursor.fetchall()}


def texts_in(stored: str) -> list[str]:
    """Return the texts of a JSON list.

    SQL can store other values than the API: an item that is no text is written as JSON, and what is
    no list counts as an empty one.
    """
    values = json.loads(stored)
    if not isinstance(values, list):
        return []
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def result_of(answers: dict[int, Any]) -> Any:
    """Return the only answer, or an object of all by their numbers."""
    if len(answers) == 1:
        return next(iter(answers.values()))
    return {str(number): answer for number, answer in answers.items()}


def read_run(run_id: int, conclusion: Conclusion) -> RunState:
    """Return the run as it will be with this conclusion; its task is locked."""
    with connection.cursor() as cursor:
        cursor.execute(_RUN, [run_id])
        number, criteria, verdicts, seconds_left = cursor.fetchone()
        cursor.execute(_STEPS, [run_id])
        nodes = [_node(row) for row in cursor.fetchall()]
    position = next(n for n, node in enumerate(nodes) if node.id == conclusion.step_id)
    ended = nodes[position] = replace(
        nodes[position],
        state=conclusion.state,
        confidence=conclusion.confidence,
        failure=conclusion.failure,
    )
    return RunState(
        id=run_id,
        number=number,
        task_id=conclusion.task_id,
        criteria=tuple(texts_in(criteria)),
        judgements=tuple(map(judgement_of, json.loads(verdicts or "[]"))),
        seconds_left=float(seconds_left),
        nodes=tuple(nodes),
        ended=ended,
        answer=conclusion.answer,
    )


def _node(row: tuple[Any, ...]) -> Node:
    step_id, revision, number, role, state, depends_on, action, faults, arm, *rest = row
    confidence, failure, has_unknown = rest
    return Node(
        id=step_id,
        revision=revision,
        number=number,
        role=StepRole(role),
        state=StepState(state),
        depends_on=tuple(depends_on),
        action=action,
        faults=tuple(json.loads(faults)),
        arm=arm,
        confidence=confidence,
        failure=None if failure is None else FailureCode(failure),
        has_unknown=has_unknown,
    )
