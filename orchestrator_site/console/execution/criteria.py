"""The acceptance criteria of a task, with what was found about each."""

from dataclasses import dataclass
from typing import Any, Final

from orchestrator_site.console.formats import labelled
from tasks.arms.forms import CriterionVerdict
from tasks.execution.runs.criteria import Judgement, judgement_of
from tasks.models import Run, Task
from tasks.states import Status

_NOT_CHECKED: Final = labelled("unscreened", "?", "Not checked")
ENDED: Final = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
# Colour, sign and name of each label.
_LABELS: Final = {
    CriterionVerdict.MET: ("completed", "✓", "Met"),
    CriterionVerdict.NOT_MET: ("failed", "✕", "Not met"),
    CriterionVerdict.UNDECIDED: ("unscreened", "?", "Undecided"),
}


@dataclass(frozen=True)
class ShownCriterion:
    """
    Attributes:
        judgement: None before the first check.
        label: of the verdict; empty before the first check of a task that goes on.
    """

    text: Any
    judgement: Judgement | None = None
    label: str = ""

    @property
    def is_open(self) -> bool:
        return self.judgement is not None and self.judgement.is_open

    @property
    def confidence(self) -> str:
        return f"{self.judgement.confidence:.4g}" if self.judgement else ""


def criteria_of(task: Task, run: Run | None) -> list[ShownCriterion]:
    """Return the criteria of a task with their verdicts in a run, which may have none yet."""
    given: Any = task.acceptance_criteria
    # SQL can store other values than the API.
    texts = given if isinstance(given, list) else [given]
    judgements = judgements_of(run)
    is_ended = task.status in ENDED
    if len(judgements) != len(texts):
        return [ShownCriterion(text, label=_NOT_CHECKED if is_ended else "") for text in texts]
    return [
        ShownCriterion(text, judgement, _label(judgement, is_ended=is_ended))
        for text, judgement in zip(texts, judgements, strict=True)
    ]


def _label(judgement: Judgement, *, is_ended: bool) -> str:
    # Until an arm answers, nobody has looked at what it is asked about.
    is_unchecked = judgement.by is None and not judgement.evidence
    return _NOT_CHECKED if is_ended and is_unchecked else labelled(*_LABELS[judgement.verdict])


def judgements_of(run: Run | None) -> list[Judgement]:
    return [judgement_of(stored) for stored in (run.verdicts if run else None) or ()]


def in_short(run: Run) -> str:
    """Return how many criteria are met; empty before the first check."""
    judgements = judgements_of(run)
    if not judgements:
        return ""
    counts = {
        "not met": sum(one.is_not_met for one in judgements),
        "undecided": sum(one.is_open for one in judgements),
    }
    others = "".join(f", {count} {name}" for name, count in counts.items() if count)
    return f"{sum(one.is_met for one in judgements)} of {len(judgements)} met{others}"
