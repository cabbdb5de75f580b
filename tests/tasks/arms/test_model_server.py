"""A call of a model server that others have written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from tasks.arms.description import Arm, Protocol
from tasks.arms.exceptions import OutcomeUnknown, ParameterRefused, Refused
from tasks.arms.openai import OpenaiAdapter
from tests.ports import free_port
from tests.tasks.arms.calls import call, failure, work
from tests.tasks.arms.serving import ending
from tests.waiting import wait_until

START_SECONDS = 60
# fakellm matches rules by the text of the user message.
RULES = """\
version: 1
rules:
  - name: later
    when:
      messages_contain: "busy"
    respond:
      status: 429
      error: "Rate limit reached"
  - name: broken
    when:
      messages_contain: "broken"
    respond:
      status: 500
      error: "The server had an error"
  - name: parameter
    when:
      messages_contain: "reason"
    respond:
      status: 400
      error: "Unsupported value: 'temperature' does not support 0 with this model."
  - name: sentiment
    when:
      messages_contain: "sentiment"
    respond:
      content: '{"sentiment": 0.4}'
  - name: other
    respond:
      content: "I counted them."
"""


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenaiAdapter]:
    folder: Path = tmp_path_factory.mktemp("model")
    (folder / "fakellm.yaml").write_text(RULES)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "fakellm.server:app", "--port", str(port)],
            cwd=folder,
            env=os.environ | {"FAKELLM_CONFIG": str(folder / "fakellm.yaml")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    with ending(process):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/_fakellm/stats"), START_SECONDS)
        arm = Arm(
            name="model",
            protocol=Protocol.OPENAI,
            url=f"http://127.0.0.1:{port}/v1",
            model="gpt-4o-mini",
            usd_per_million_input=Decimal(1),
            usd_per_million_output=Decimal(2),
        )
        yield OpenaiAdapter(arm, "none")


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def body(adapter: OpenaiAdapter, goal: str) -> bytes:
    return adapter.request(work(goal=goal, acceptance_criteria=[])).body


def test_it_answers_with_a_document(adapter: OpenaiAdapter) -> None:
    answer = call(adapter, body=body(adapter, "Find the sentiment"))

    tokens, cost = answer.usage.tokens, answer.usage.cost_usd
    assert (answer.result, answer.confidence) == ({"sentiment": 0.4}, 0.5)
    assert tokens is not None
    assert cost is not None
    assert 0 < cost * 1_000_000 <= 2 * tokens


def test_it_answers_with_a_text(adapter: OpenaiAdapter) -> None:
    assert call(adapter, body=body(adapter, "Count the words")).result == "I counted them."


@pytest.mark.parametrize(
    ("goal", "kind", "is_retryable"),
    [
        ("You are busy", Refused, True),
        ("You are broken", OutcomeUnknown, False),
        ("Please reason", ParameterRefused, True),
    ],
)
def test_it_refuses_and_fails(
    adapter: OpenaiAdapter, goal: str, kind: type[Exception], is_retryable: bool
) -> None:
    error = failure(adapter, body=body(adapter, goal))

    assert (type(error), error.is_retryable) == (kind, is_retryable)
