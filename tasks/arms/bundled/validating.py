"""Judge a result by those acceptance criteria that rules can check."""

from typing import Any

from tasks.arms.bundled.request import ValidationRequest
from tasks.arms.forms import CriterionVerdict, Judged, judge

Verdicts = dict[str, Judged]


def validate(request: ValidationRequest) -> dict[str, Any]:
    """Return the verdicts; criteria that no rule decides are in neither list.

    The result is valid if every criterion is met. The confidence is that of the verdicts: rules are
    exact, so it is full, unless there are criteria and none is decided. A criterion that is given
    twice counts once.
    """
    verdicts = {text: judge(text, request.output) for text in request.acceptance_criteria}
    passed = _with(CriterionVerdict.MET, verdicts)
    failed = _with(CriterionVerdict.NOT_MET, verdicts)
    return {
        "valid": len(passed) == len(verdicts),
        "confidence": 1.0 if passed or failed or not verdicts else 0.0,
        "issues": [_issue(text, verdicts[text].evidence) for text in failed],
        "passed_criteria": passed,
        "failed_criteria": failed,
        "quality_score": len(passed) / len(verdicts) if verdicts else 1.0,
    }


def _with(verdict: CriterionVerdict, verdicts: Verdicts) -> list[str]:
    return [text for text, judged in verdicts.items() if judged.verdict is verdict]


def _issue(criterion: str, evidence: str) -> dict[str, str]:
    return {
        "severity": "error",
        "type": "criterion",
        "message": evidence,
        "location": criterion,
        "suggestion": "",
    }
