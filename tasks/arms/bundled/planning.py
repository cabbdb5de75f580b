"""Make a plan from the parts of a goal."""

import itertools
import json
import re
import uuid
from collections import defaultdict
from typing import Any, Final

from tasks.arms.bundled.comparing import asks_to_compare
from tasks.arms.bundled.dividing import Part, divide
from tasks.arms.bundled.request import PlanRequest, Unable

# The order of the parts is the client's own if the goal has parts. A goal of one part may have more
# that only a reader would see.
CONFIDENCE_IN_PARTS: Final = 0.9
CONFIDENCE_IN_ONE: Final = 0.6
# A capability: any arm that has it may take the step.
EXECUTE: Final = "execute"
STEP_SECONDS: Final = 1

_AFTER_PREVIOUS: Final = re.compile(r"(?:then|next|afterwards|after that)\b", re.IGNORECASE)
_AFTER_ALL: Final = re.compile(r"(?:finally|lastly)\b", re.IGNORECASE)
_OF_ALL: Final = re.compile(r"\b(?:the|all|these|those) results\b|\bboth\b", re.IGNORECASE)
_STEPS: Final = re.compile(
    r"\bsteps? [0-9]{1,2}\b(?:(?:,| and|, and) [0-9]{1,2}\b)*", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"[0-9]+")


def make_plan(request: PlanRequest) -> dict[str, Any]:
    """Return a plan for a goal, without the parts that have been carried out.

    Raises:
        Unable: the goal has too many parts, or all of them have been carried out.
    """
    parts = divide(request.goal)
    numbers, new = _numbers(parts, request.done)
    if not new:
        raise Unable("All parts of the goal have been carried out.")
    key = json.dumps([request.request_id, request.goal])
    return {
        "plan_id": f"plan-{uuid.uuid5(uuid.NAMESPACE_OID, key)}",
        "steps": [
            {
                "step_number": numbers[position],
                "action": parts[position].text,
                "arm_id": EXECUTE,
                "acceptance_criteria": [],
                "dependencies": sorted(numbers[other] for other in needed(position, parts)),
                "estimated_duration_seconds": STEP_SECONDS,
            }
            for position in new
        ],
        "confidence": CONFIDENCE_IN_PARTS if len(parts) > 1 else CONFIDENCE_IN_ONE,
    }


def needed(position: int, parts: list[Part]) -> set[int]:
    """Return the positions of the parts that a part depends on."""
    text = parts[position].text
    named = {int(number) for steps in _STEPS.findall(text) for number in _NUMBER.findall(steps)}
    found = {earlier for earlier in range(position) if parts[earlier].number in named}
    # A comparison has nothing else to work on than results.
    is_of_all = _OF_ALL.search(text) or asks_to_compare(text)
    if _AFTER_ALL.match(text) or (is_of_all and not found):
        return set(range(position))
    if position and _AFTER_PREVIOUS.match(text):
        found.add(position - 1)
    return found


def _numbers(parts: list[Part], done: dict[int, str]) -> tuple[list[int], list[int]]:
    """Return the step number of each part, and the positions of those that are still to do."""
    numbers_done: defaultdict[str, list[int]] = defaultdict(list)
    for number, action in done.items():
        numbers_done[_same(action)].append(number)
    free = itertools.count(max(done, default=0) + 1)
    numbers: list[int] = []
    new: list[int] = []
    for position, part in enumerate(parts):
        # Of two parts with the same words, one may have been carried out and the other not.
        if of_part := numbers_done[_same(part.text)]:
            numbers.append(of_part.pop(0))
        else:
            numbers.append(next(free))
            new.append(position)
    return numbers, new


def _same(action: str) -> str:
    return " ".join(action.casefold().split())
