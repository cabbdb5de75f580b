"""Leave out details of a result, so that it meets criteria that it did not meet."""

import json
from typing import Any, Final

from tasks.arms.bundled.request import Repair
from tasks.arms.forms import CriterionVerdict, judge

# The sentiment is what the client asked for; the rest are details.
ANSWER: Final = "sentiment"
# The results of this arm have fewer. Each detail may cost a judgement of all criteria.
MAX_DETAILS: Final = 10


def repaired(repair: Repair, criteria: list[str]) -> Any:
    """Return the result without some of its details, until the failed criteria are met.

    Criteria of the task that the result already met stay met. Nothing is added, since the arm
    cannot invent what is missing, and no number is rounded, since that could bring it to the right
    side of a limit. If nothing helps, the result is returned as it is.
    """
    result = repair.result
    if not isinstance(result, dict) or ANSWER not in result or len(result) > MAX_DETAILS + 1:
        return result
    # Another judge may be stricter than the rules, which then do not know what to leave out.
    if _meets(result, repair.failed):
        return result
    kept = [text for text in criteria if _meets(result, [text])]
    rest = result
    for name in _largest_first(result):
        smaller = {other: value for other, value in rest.items() if other != name}
        if _meets(smaller, kept):
            rest = smaller
        if _meets(rest, repair.failed):
            return rest
    return result


def _largest_first(result: dict[str, Any]) -> list[str]:
    details = [name for name in result if name != ANSWER]
    return sorted(details, key=lambda name: len(json.dumps(result[name])), reverse=True)


def _meets(result: Any, criteria: list[str]) -> bool:
    return all(judge(text, result).verdict is CriterionVerdict.MET for text in criteria)
