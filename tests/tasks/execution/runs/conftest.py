"""Arms that plan and judge, beside the one that carries out."""

from collections.abc import Iterator

import pytest

from tests.arms import ScriptedArm, judges, plans, step
from tests.tasks.execution.conftest import register


@pytest.fixture
def planner() -> Iterator[ScriptedArm]:
    """A registered arm that can plan and nothing else."""
    with ScriptedArm() as scripted:
        scripted.behaviour = plans(step(1), step(2, 1))
        register(scripted, "planner", capabilities=["plan"])
        yield scripted


@pytest.fixture
def judge() -> Iterator[ScriptedArm]:
    """A registered arm that can judge and nothing else."""
    with ScriptedArm() as scripted:
        scripted.behaviour = judges(True)
        register(scripted, "judge", capabilities=["validate"])
        yield scripted
