"""Which flagged answers came to which steps of a run."""

from typing import Any

import pytest

from orchestrator_site.console.execution.provenance import flagged_answers
from tasks.models import Step


def step(number: int, role: str = "execute", *needs: int, **fields: Any) -> Step:
    values = {"number": number, "role": role, "state": "done", "depends_on": [*needs]}
    return Step(**values | {"revision": 1} | fields)


def found(*steps: Step) -> dict[tuple[int, int], dict[int, list[int]]]:
    """Return the flagged answers of each step by numbers; only of steps that have some."""
    came = flagged_answers(steps)
    return {
        (one.revision, one.number): {
            flagged.source.number: [through.number for through in flagged.through]
            for flagged in came[one.pk]
        }
        for one in steps
        if came[one.pk]
    }


def test_nothing_is_flagged() -> None:
    assert found(step(1, verdict="safe"), step(2, "execute", 1, verdict="unscreened")) == {}


def test_steps_may_depend_on_later_numbers() -> None:
    first = step(1, "execute", 2)
    second, third = step(2, "execute", 3), step(3, verdict="flagged")
    assert found(first, second, third) == {(1, 1): {3: [2]}, (1, 2): {3: []}}


def test_several_ways_and_sources_are_all_named() -> None:
    steps = [
        step(1, verdict="flagged"),
        step(2, verdict="flagged"),
        step(3, "execute", 1),
        step(4, "execute", 1, 2),
        step(5, "execute", 3, 4),
        step(6, "execute", 1, 3),
    ]
    assert found(*steps) == {
        (1, 3): {1: []},
        (1, 4): {1: [], 2: []},
        (1, 5): {1: [3, 4], 2: [4]},
        (1, 6): {1: []},
    }


def test_actions_of_a_flagged_plan_came_to_its_steps_and_to_the_next_plan() -> None:
    steps = [
        step(0, "plan", verdict="flagged"),
        step(1),
        step(2, "execute", 1, state="failed"),
        step(0, "plan", revision=2),
        step(3, revision=2),
    ]
    assert found(*steps) == {
        (1, 1): {0: []},
        (1, 2): {0: []},
        (2, 0): {0: []},
        (2, 3): {0: [0]},
    }


def test_nothing_of_a_refused_plan_comes_to_the_next_one() -> None:
    refused = step(0, "plan", verdict="flagged")
    assert found(refused, step(0, "plan", revision=2), step(1, revision=2)) == {}


@pytest.mark.parametrize("role", ["repair", "decide"])
def test_evidence_of_a_flagged_check_comes_to_what_follows(role: str) -> None:
    checks = [step(2, "judge", 1, verdict="flagged"), step(5, "judge", 1, verdict="flagged")]
    steps = [step(1), *checks, step(3, role, 1), step(4, "judge", 3)]
    assert found(*steps) == {(1, 3): {2: []}, (1, 4): {2: [3]}}


def test_circle_does_not_hang() -> None:
    steps = [step(1, "execute", 2, verdict="flagged"), step(2, "execute", 1)]
    assert found(*steps) == {(1, 1): {1: [2]}, (1, 2): {1: []}}
