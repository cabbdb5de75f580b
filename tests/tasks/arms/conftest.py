"""An arm whose answers the tests set."""

from collections.abc import Iterator

import pytest

from tests.arms import ScriptedArm


@pytest.fixture
def scripted() -> Iterator[ScriptedArm]:
    with ScriptedArm() as arm:
        yield arm
