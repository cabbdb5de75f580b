"""The steps of a run as the page of their task shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_site.console.execution import step_words
from orchestrator_site.console.execution.answers import TOO_MANY
from orchestrator_site.console.execution.calls import Rows
from orchestrator_site.console.execution.provenance import Flagged, flagged_answers
from orchestrator_site.console.execution.waiting import in_words, moment_in_words
from orchestrator_site.console.formats import label
from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Run, Step
from tasks.states import StepRole, StepState, TaskVerdict


@dataclass(frozen=True)
class Texts:
    """What arms and staff wrote in a step: only for staff who may see the content of tasks.

    Attributes:
        wish: what staff wanted a repair to do better.
        reasons: why there is a repair: criteria that were not met, each with the evidence.
        faults: of a plan that was refused.
        decided_because: the reason of a decision.
        answer: as HTML; empty if there is none.
    """

    action: str
    criteria: list[Any]
    wish: str
    reasons: list[tuple[str, str]]
    faults: list[str]
    decided_because: str
    answer: str


@dataclass(frozen=True)
class ShownStep:
    """A step.

    Attributes:
        labels: its state, and what else is to be seen at a glance.
        look: the state that its mark looks like.
        now: what becomes of it next, or when it ended.
        beside: the same, as far as the labels do not say it.
        given: the steps whose answers it is given, in words and with links.
        flagged: each flagged answer that came to it, in words and with links.
        failure: the sentence of its failure code; empty if it did not fail.
        texts: None for staff who may not see them.
    """

    step: Step
    name: str
    anchor: str
    labels: list[str]
    look: str
    now: str
    beside: str
    given: str
    flagged: list[str]
    failure: str
    attempts: Rows
    calls: Rows
    texts: Texts | None

    @property
    def role(self) -> StepRole:
        return StepRole(self.step.role)

    @property
    def is_suspect(self) -> bool:
        """Whether its answer is flagged, or was made from a flagged one."""
        return self.step.verdict == TaskVerdict.FLAGGED or bool(self.flagged)

    @property
    def is_open(self) -> bool:
        return self.step.ended_at is None


@dataclass(frozen=True)
class Loaded:
    """The rows of all steps of a page, by the ids of the steps.

    Attributes:
        answers: as HTML; None for staff who may not see them.
    """

    attempts: Mapping[Any, Rows]
    calls: Mapping[Any, Rows]
    answers: Mapping[Any, str] | None


def shown_steps(run: Run, steps: Sequence[Step], loaded: Loaded) -> tuple[ShownStep, ...]:
    """Return the steps of a run in their order.

    Args:
        steps: of the run only. Each has `outcome`, that of a decision, and `has_answer`.
    """
    flagged = flagged_answers(steps)
    faults = _faults_of_plans(run, steps)
    return tuple(
        ShownStep(
            step,
            step_words.name_of(step),
            step_words.anchor_of(step, run.number),
            _labels(step, is_refused=step.pk in faults),
            StepState.FAILED if step.pk in faults else step_words.look_of(step),
            in_words(step),
            moment_in_words(step) if step.role == StepRole.DECIDE else in_words(step),
            step_words.given(step, _given(step, steps), run.number),
            _flagged(step, flagged[step.pk], run.number),
            SENTENCES[FailureCode(step.failure_code)] if step.failure_code else "",
            loaded.attempts.get(step.pk, Rows()),
            loaded.calls.get(step.pk, Rows()),
            None if loaded.answers is None else _texts(step, faults, loaded.answers),
        )
        for step in steps
    )


def _given(step: Step, steps: Sequence[Step]) -> list[Step]:
    return [one for one in steps if one.number and one.number in step.depends_on]


def _flagged(step: Step, flagged: Sequence[Flagged], run: int) -> list[str]:
    if step.state == StepState.CANCELLED and not step_words.has_begun(step):
        return []
    return [step_words.given_flagged(step, one, run) for one in flagged]


def _labels(step: Any, *, is_refused: bool) -> list[str]:
    labels = [step_words.decision_label(step) or label(StepState(step.state))]
    if is_refused:
        labels.append(step_words.REFUSED_LABEL)
    if step.verdict == TaskVerdict.FLAGGED:
        labels.append(step_words.FLAGGED_LABEL)
    return labels


def _faults_of_plans(run: Run, steps: Sequence[Step]) -> dict[Any, list[str]]:
    """Return the faults of each plan that was refused, by the id of its step.

    Those of a plan are kept by the step that asks for it again. Those of the last one are not kept.
    """
    plans = [step for step in steps if step.role == StepRole.PLAN and step.state == StepState.DONE]
    faults: dict[Any, list[str]] = {}
    for plan in plans:
        after = [step for step in steps if step.revision == plan.revision + 1 and not step.number]
        if after and after[0].faults:
            faults[plan.pk] = after[0].faults
    if plans and run.failure_code == FailureCode.PLAN_INVALID:
        faults.setdefault(plans[-1].pk, [])
    return faults


def _texts(step: Any, faults: dict[Any, list[str]], answers: Mapping[Any, str]) -> Texts:
    is_decision, is_repair = step.role == StepRole.DECIDE, step.role == StepRole.REPAIR
    answer = answers.get(step.pk, TOO_MANY if step.has_answer else "")
    return Texts(
        action="" if is_repair else step.action,
        criteria=step.acceptance_criteria,
        wish=step.action if is_repair else "",
        reasons=[(one["criterion"], one["why"]) for one in step.faults] if is_repair else [],
        faults=faults.get(step.pk, []),
        decided_because=step.decided_because or "",
        answer="" if is_decision else answer,
    )
