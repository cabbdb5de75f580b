"""What a task needs beside its work: a plan, and an arm that judges the result."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

from tasks.arms.description import Capability
from tasks.arms.forms import understands
from tasks.execution.runs.options import Planning
from tasks.states import Priority

# A task with at most so much is simple.
MAX_SIMPLE_ITEMS: Final = 3
MAX_SIMPLE_CHARACTERS: Final = 400
_IS_THERE: Final = """
    SELECT EXISTS (
        SELECT 1 FROM arms
        WHERE is_enabled AND %(capability)s = ANY(capabilities) AND name <> ALL(%(not_by)s)
    )
"""

_ENABLED: Final = "SELECT name, capabilities FROM arms WHERE is_enabled ORDER BY name"


def is_planned(
    planning: Planning,
    *,
    goal: str,
    constraints: Sequence[str],
    acceptance_criteria: Sequence[str],
    priority: str,
) -> bool:
    """Return whether a task is planned: it is not simple, and an arm that can plan is enabled."""
    is_simple = (
        len(constraints) <= MAX_SIMPLE_ITEMS
        and len(acceptance_criteria) <= MAX_SIMPLE_ITEMS
        and len(goal) <= MAX_SIMPLE_CHARACTERS
        and priority not in (Priority.HIGH, Priority.CRITICAL)
    )
    if planning is Planning.NONE or (is_simple and planning is Planning.AUTO):
        return False
    return is_there_an_arm(Capability.PLAN)


def is_judged(acceptance_criteria: Sequence[str]) -> bool:
    """Return whether a result may have to be judged by an arm, since rules do not suffice."""
    return not all(map(understands, acceptance_criteria)) and is_there_an_arm(Capability.VALIDATE)


def is_there_an_arm(capability: Capability, *, not_by: Sequence[str] = ()) -> bool:
    """Return whether an arm with the capability is enabled, be it down or busy.

    Args:
        not_by: arms that do not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_IS_THERE, {"capability": capability, "not_by": [*not_by]})
        return bool(cursor.fetchone()[0])


def enabled_arms() -> dict[str, list[str]]:
    """Return the capabilities of each enabled arm, in the order of the names."""
    with connection.cursor() as cursor:
        cursor.execute(_ENABLED)
        return dict(cursor.fetchall())
