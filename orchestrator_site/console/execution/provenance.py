"""Where the text that a step was given came from, and which of it was flagged.

An answer that is flagged is suspect, and so is everything that was made from it. So each step names
the flagged answers that it was given, and those from which the answers it was given were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.models import Step
from tasks.states import StepRole, StepState, TaskVerdict


@dataclass(frozen=True)
class Flagged:
    """A flagged answer that came to a step.

    Attributes:
        source: the step that brought it.
        through: the steps whose answers were made from it, by which it came; none if the step was
            given it directly.
    """

    source: Step
    through: tuple[Step, ...] = ()


def flagged_answers(steps: Sequence[Step]) -> dict[Any, tuple[Flagged, ...]]:
    """Return the flagged answers that came to each step of a run, by the id of the step."""
    sources = {step.pk: _sources(step, steps) for step in steps}
    came = _origins(steps, sources)
    by_id = {step.pk: step for step in steps}
    return {
        step.pk: tuple(
            Flagged(by_id[origin], _through(origin, sources[step.pk], came))
            for origin in by_id
            if origin in came[step.pk]
        )
        for step in steps
    }


def _origins(steps: Sequence[Step], sources: dict[Any, list[Step]]) -> dict[Any, set[Any]]:
    """Return the ids of the steps whose flagged answers came to each step."""
    came: dict[Any, set[Any]] = {step.pk: set() for step in steps}
    is_complete = False
    # A step may depend on one with a higher number, so one round may not do.
    while not is_complete:
        is_complete = True
        for step in steps:
            found = {one.pk for one in sources[step.pk] if one.verdict == TaskVerdict.FLAGGED}
            found = found.union(*(came[one.pk] for one in sources[step.pk]))
            if not found <= came[step.pk]:
                came[step.pk] |= found
                is_complete = False
    return came


def _through(origin: Any, sources: list[Step], came: dict[Any, set[Any]]) -> tuple[Step, ...]:
    if any(one.pk == origin for one in sources):
        return ()
    return tuple(one for one in sources if origin in came[one.pk])


def _sources(step: Step, steps: Sequence[Step]) -> list[Step]:
    """Return the steps whose texts an arm, or staff, get with the step."""
    given = [one for one in steps if one.number and one.number in step.depends_on]
    match step.role:
        case StepRole.EXECUTE:
            # The plan wrote its action.
            others = [one for one in steps if _is_plan(one) and one.revision == step.revision]
        case StepRole.PLAN:
            # It is told the actions of the last plan.
            actions = {one.revision for one in steps if one.role == StepRole.EXECUTE}
            others = [
                one
                for one in steps
                if _is_plan(one) and one.revision in actions and one.revision < step.revision
            ]
        case StepRole.REPAIR | StepRole.DECIDE:
            # The evidence of the check comes with them.
            others = [one for one in steps if _is_check_before(one, step)]
        case _:
            others = []
    return [*others, *given]


def _is_plan(step: Step) -> bool:
    return step.role == StepRole.PLAN and step.state == StepState.DONE


def _is_check_before(one: Step, step: Step) -> bool:
    is_of_the_same = one.role == StepRole.JUDGE and one.depends_on == step.depends_on
    return is_of_the_same and one.number < step.number
