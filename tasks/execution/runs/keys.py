"""The keys of steps, which arms get with each call."""

from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

FIRST_REVISION: Final = 1
# The making of a plan.
PLANNING: Final = 0
# The task as a whole, or the first step of a plan.
FIRST_STEP: Final = 1


def step_id(task_id: UUID, *, run: int, revision: int, step: int) -> UUID:
    """Return the id of a step: the key that arms get with each of its calls."""
    return uuid5(NAMESPACE_URL, f"octollm:{task_id}/{run}/{revision}/{step}")
