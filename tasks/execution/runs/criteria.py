"""The verdicts on the acceptance criteria of a result, and the confidence that follows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from statistics import fmean
from typing import Any, Final

from tasks.arms import forms, reading
from tasks.arms.forms import CriterionVerdict

UNDECIDED_CONFIDENCE: Final = 0.5
BY_PERSON: Final = {
    CriterionVerdict.MET: "A person accepted the result.",
    CriterionVerdict.NOT_MET: "A person rejected the result.",
}
NO_ARM: Final = "No other arm can judge it."
NO_BUDGET: Final = "What is left of the budget is too little to ask an arm."
NO_VERDICT: Final = "The arm that was asked did not decide it."


class JudgedBy(StrEnum):
    RULE = "rule"
    ARM = "arm"
    PERSON = "person"


@dataclass(frozen=True)
class Judgement:
    """What was found about one criterion.

    Attributes:
        by: None as long as nobody has looked.
        evidence: a sentence.
        confidence: in the verdict, 0 to 1.
    """

    verdict: CriterionVerdict = CriterionVerdict.UNDECIDED
    by: JudgedBy | None = None
    evidence: str = ""
    confidence: float = UNDECIDED_CONFIDENCE

    @property
    def is_met(self) -> bool:
        return self.verdict is CriterionVerdict.MET

    @property
    def is_not_met(self) -> bool:
        return self.verdict is CriterionVerdict.NOT_MET

    @property
    def is_open(self) -> bool:
        return self.verdict is CriterionVerdict.UNDECIDED

    @property
    def stored(self) -> dict[str, Any]:
        return asdict(self)


def judgement_of(stored: dict[str, Any]) -> Judgement:
    """Return a judgement from its stored form."""
    by = stored["by"]
    return Judgement(
        CriterionVerdict(stored["verdict"]),
        None if by is None else JudgedBy(by),
        stored["evidence"],
        stored["confidence"],
    )


def by_rules(criteria: Sequence[str], result: Any) -> list[Judgement]:
    """Return what rules say about a result; a criterion that none understands stays open."""
    return [_by_rule(criterion, result) for criterion in criteria]


def _by_rule(criterion: str, result: Any) -> Judgement:
    found = forms.judge(criterion, result)
    if found.verdict is CriterionVerdict.UNDECIDED:
        return Judgement()
    return Judgement(found.verdict, JudgedBy.RULE, found.evidence, 1.0)


def with_verdicts_of_arm(judgements: Sequence[Judgement], answer: Any) -> list[Judgement]:
    """Return the judgements with what an arm says about the open ones, in their order.

    Args:
        answer: the answer to a check, as `tasks.arms` reads it; None if there is none. It was
            screened, which may have changed any of its texts.
    """
    verdicts = answer.get("verdicts") if isinstance(answer, dict) else None
    said = {
        one["criterion"]: one
        for one in (verdicts if isinstance(verdicts, list) else ())
        # A label may stand where a number was. True is an int, too.
        if isinstance(one, dict) and type(one.get("criterion")) is int
    }
    judged = []
    number = 0
    for judgement in judgements:
        if judgement.is_open:
            number += 1
            judgement = _by_arm(said.get(number))
        judged.append(judgement)
    return judged


def _by_arm(said: dict[str, Any] | None) -> Judgement:
    # A list, as the value may be unhashable.
    if said is None or said.get("verdict") not in [*CriterionVerdict]:
        return Judgement(evidence=NO_VERDICT)
    verdict, evidence = CriterionVerdict(said["verdict"]), str(said.get("evidence", ""))
    if verdict is CriterionVerdict.UNDECIDED:
        return Judgement(by=JudgedBy.ARM, evidence=evidence or NO_VERDICT)
    return Judgement(verdict, JudgedBy.ARM, evidence, reading.confidence(said.get("confidence")))


def without_judge(judgements: Sequence[Judgement], why: str = NO_ARM) -> list[Judgement]:
    """Return the judgements; those that are open say why no arm was asked about them."""
    return [replace(one, evidence=why) if one.is_open else one for one in judgements]


def by_person(judgements: Sequence[Judgement], *, accepts: bool) -> list[Judgement]:
    """Return the judgements as a person decides about the open ones."""
    verdict = CriterionVerdict.MET if accepts else CriterionVerdict.NOT_MET
    decided = Judgement(verdict, JudgedBy.PERSON, BY_PERSON[verdict], 1.0)
    return [decided if one.is_open else one for one in judgements]


def confidence(of_answers: Sequence[float], judgements: Sequence[Judgement]) -> float:
    """Return the confidence in a result: the lowest of its answers x the mean of its criteria.

    A criterion that is met counts as the confidence in that verdict, an undecided one as a half,
    and one that is not met as nothing. docs/plans.md explains it.
    """
    lowest = min(of_answers, default=UNDECIDED_CONFIDENCE)
    if not judgements:
        return lowest
    return lowest * fmean(
        0.0 if one.is_not_met else one.confidence if one.is_met else UNDECIDED_CONFIDENCE
        for one in judgements
    )
