"""How pages name the steps of a run, link to them, and say what each was given."""

from collections.abc import Iterable
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from orchestrator_site.console.execution.provenance import Flagged
from orchestrator_site.console.formats import labelled
from tasks.execution.runs.moves import ACCEPTED, EXPIRED, REJECTED
from tasks.models import Step
from tasks.states import StepRole, StepState, WaitsFor

_NAMES: Final = {
    StepRole.EXECUTE: "Step",
    StepRole.JUDGE: "Check",
    StepRole.REPAIR: "Repair",
    StepRole.DECIDE: "Decision",
}
# Before the names of the steps whose answers a step was given; for one, and for several.
_GIVEN: Final = {
    StepRole.PLAN: ("With the answer of", "With the answers of"),
    StepRole.JUDGE: ("Checks the answer of", "Checks the answers of"),
    StepRole.REPAIR: ("Repairs the answer of", "Repairs the answers of"),
    StepRole.DECIDE: ("About the answer of", "About the answers of"),
}
FLAGGED_LABEL: Final = labelled("flagged", "⚑", "Flagged answer")
REFUSED_LABEL: Final = labelled("failed", "✕", "Refused")
WAITS_LABEL: Final = labelled("ready", "○", "Waits for a decision")
_OUTCOMES: Final = {
    ACCEPTED: labelled("completed", "✓", "Accepted"),
    REJECTED: labelled("failed", "✕", "Rejected"),
    EXPIRED: labelled("cancelled", "⊘", "Expired"),
}
# The states that decisions look like.
_LOOKS: Final = {REJECTED: StepState.FAILED, EXPIRED: StepState.CANCELLED}


def name_of(step: Step) -> str:
    """Return a name such as `Step 3`, which no other step of the run has."""
    if step.role == StepRole.PLAN:
        return "Plan" if step.revision == 1 else f"Plan {step.revision}"
    return f"{_NAMES[StepRole(step.role)]} {step.number}"


def anchor_of(step: Step, run: int) -> str:
    """Return the id of the step on the page of its task."""
    if step.role == StepRole.PLAN:
        return f"run-{run}-plan-{step.revision}"
    return f"run-{run}-step-{step.number}"


def links(steps: Iterable[Step], run: int, page: str = "") -> SafeString:
    """Return links to steps, as a part of a sentence.

    Args:
        page: the URL of the page of the task; empty on that page.
    """
    return format_html_join(
        ", ",
        '<a href="{}#{}">{}</a>',
        ((page, anchor_of(step, run), _in_a_sentence(step)) for step in steps),
    )


def _in_a_sentence(step: Step) -> str:
    name = name_of(step)
    return "the plan" if name == "Plan" else name.lower()


def given(step: Step, sources: list[Step], run: int, page: str = "") -> str:
    """Return which answers the step is given; empty for none."""
    if not sources:
        return ""
    is_one = len(sources) == 1
    if step.role == StepRole.EXECUTE:
        answers = "its answer" if is_one else "their answers"
        return format_html("After {}, with {}", links(sources, run, page), answers)
    one, several = _GIVEN[StepRole(step.role)]
    return format_html("{} {}", one if is_one else several, links(sources, run, page))


def given_flagged(step: Step, flagged: Flagged, run: int) -> str:
    """Return that a flagged answer came to the step, and by which way."""
    return flagged_in_words("Given" if has_begun(step) else "Will be given", flagged, run)


def flagged_in_words(verb: str, flagged: Flagged, run: int, page: str = "") -> str:
    source = links([flagged.source], run, page)
    if not flagged.through:
        return format_html("{} a flagged answer of {}", verb, source)
    through = links(flagged.through, run, page)
    return format_html("{} a flagged answer of {}, by way of {}", verb, source, through)


def has_begun(step: Step) -> bool:
    return step.tries > 0 or step.role == StepRole.DECIDE or step.state == StepState.DONE


def outcome_label(outcome: str) -> str:
    """Return the label of a decision."""
    return _OUTCOMES.get(outcome, "")


def decision_label(step: Any) -> str:
    """Return what was decided, or that staff have to; empty for steps of other roles.

    Args:
        step: with `outcome`, that of a decision.
    """
    waits = step.waits_for == WaitsFor.DECISION
    return WAITS_LABEL if waits else outcome_label(step.outcome)


def look_of(step: Any) -> StepState:
    """Return the state that a step, with its `outcome`, looks like."""
    return _LOOKS.get(step.outcome, StepState(step.state))
