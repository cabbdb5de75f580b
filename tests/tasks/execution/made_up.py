"""Answers of arms as chance has it: plans, verdicts and results, good and bad ones."""

from collections.abc import Collection
from random import Random
from typing import Any, Final

from tasks.arms.description import Capability
from tasks.arms.forms import CriterionVerdict
from tasks.execution.claiming.claims import Claimed
from tasks.models import Step

# A rule decides the first one, and a judge the second.
BY_RULE: Final = "Contains 'good'"
BY_JUDGE: Final = "It sounds friendly"
MAX_PLANNED: Final = 6
_CIRCLE: Final = [
    {"step_number": 1, "action": "Begin", "dependencies": [2]},
    {"step_number": 2, "action": "End", "dependencies": [1]},
]
NO_PLANS: Final[tuple[Any, ...]] = (
    {"steps": []},
    {"steps": _CIRCLE},
    {"steps": [{"step_number": 1, "action": "Ask", "arm_id": "nobody"}]},
    {"steps": [{"step_number": number, "action": "Go"} for number in range(1, 22)]},
    "Step by step",
)
# Some are the same as the last one, which a repair must not be.
RESULTS: Final = ("bad", "bad", "good", "good", {"text": "good"}, ["bad"])
_VERDICTS: Final = (
    CriterionVerdict.MET,
    CriterionVerdict.NOT_MET,
    CriterionVerdict.UNDECIDED,
    # It says nothing about the criterion.
    None,
    None,
)


def answer_to(claimed: Claimed, chance: Random) -> Any:
    """Return what an arm answers to a claimed step."""
    step = Step.objects.get(pk=claimed.step_id)
    match claimed.capability:
        case Capability.PLAN:
            return chance.choice(NO_PLANS) if chance.randint(0, 4) == 0 else _plan(step, chance)
        case Capability.VALIDATE:
            return _verdicts(len(step.acceptance_criteria), chance)
        case Capability.EXECUTE:
            return chance.choice(RESULTS)


def good_answer_to(claimed: Claimed) -> Any:
    """Return an answer after which its task goes on to its end."""
    step = Step.objects.get(pk=claimed.step_id)
    match claimed.capability:
        case Capability.PLAN:
            return {"steps": [{"step_number": 1, "action": "Do it"}]}
        case Capability.VALIDATE:
            return {
                "verdicts": [_entry(n + 1, "met") for n in range(len(step.acceptance_criteria))]
            }
        case Capability.EXECUTE:
            return {"text": f"good {step.number}"}


def _plan(step: Step, chance: Random) -> dict[str, Any]:
    """Return a valid plan; if others are done, it may depend on them."""
    done = Step.objects.filter(run=step.run_id, role="execute", state="done")
    before = [number for number in step.depends_on if done.filter(number=number).exists()]
    # Numbers that no step before has.
    first = max(before, default=0) + 1
    numbers = range(first, first + chance.randint(1, MAX_PLANNED))
    # As wide as it may be, or with steps that depend on others.
    depends = chance.choice((True, False))
    steps = [
        _step(number, [*before, *range(first, number)] if depends else [], chance)
        for number in numbers
    ]
    return {"steps": steps}


def _step(number: int, others: Collection[int], chance: Random) -> dict[str, Any]:
    count = min(len(others), chance.choice((0, 1, 1, 2)))
    return {
        "step_number": number,
        "action": f"Do part {number}",
        "arm_id": chance.choice(("execute", "execute", "safe", "unsafe", "model")),
        "dependencies": chance.sample([*others], count),
    }


def _verdicts(count: int, chance: Random) -> dict[str, Any]:
    drawn = [(number, chance.choice(_VERDICTS)) for number in range(1, count + 1)]
    return {"verdicts": [_entry(number, verdict) for number, verdict in drawn if verdict]}


def _entry(number: int, verdict: str) -> dict[str, Any]:
    return {"criterion": number, "verdict": verdict, "evidence": "Seen.", "confidence": 0.8}
