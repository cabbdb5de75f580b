"""docs/example_arm.py, run as it stands, and called as the service calls it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from safety.outbound.transport import Deadline
from tasks.arms.description import Arm, Health, Protocol
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Answer, Usage
from tests.environment import ROOT
from tests.ports import free_port
from tests.tasks.arms.calls import call, work
from tests.tasks.arms.serving import ending
from tests.waiting import wait_until

EXAMPLE = ROOT / "docs/example_arm.py"
MOST_LINES = 35


@pytest.fixture
def adapter() -> Iterator[OctollmAdapter]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(port)], stderr=subprocess.DEVNULL, cwd=ROOT
    )
    arm = Arm(name="words", protocol=Protocol.OCTOLLM, url=f"http://127.0.0.1:{port}")
    adapter = OctollmAdapter(arm)
    with ending(process):
        wait_until(lambda: adapter.check(deadline=Deadline(5)) is Health.HEALTHY)
        yield adapter


def test_the_example_carries_out_work(adapter: OctollmAdapter) -> None:
    answer = call(adapter, body=adapter.request(work(goal="Count these few words")).body)

    assert answer == Answer({"words": 4, "longest": "Count"}, 0.5, Usage())


def test_the_document_contains_the_example_as_it_runs() -> None:
    text = EXAMPLE.read_text()

    assert f"```python\n{text}```\n" in (ROOT / "docs/arms.md").read_text()
    assert len(text.splitlines()) <= MOST_LINES
