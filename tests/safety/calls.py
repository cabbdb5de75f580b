"""Calls of the real client to a scripted peer."""

import time
from dataclasses import dataclass

import pytest

from safety.findings import Answer
from safety.outbound.exceptions import CallFailed
from safety.outbound.transport import Deadline
from safety.reflex_client.client import ReflexClient

DEADLINE_SECONDS = 0.3


@dataclass(frozen=True)
class Caller:
    """A client, and the deadline of each of its calls."""

    client: ReflexClient
    deadline_seconds: float

    def process(self, text: str = "a text") -> Answer:
        """Return the peer's answer to the screening of a text."""
        deadline = Deadline(self.deadline_seconds)
        return self.client.process(text, deadline=deadline, request_id="request-1")


def client_of(
    url: str, deadline_seconds: float = DEADLINE_SECONDS, *, connections: int = 2
) -> Caller:
    client = ReflexClient(url=url, connections=connections)
    return Caller(client, deadline_seconds)


def process(caller: Caller, text: str = "a text") -> None:
    """Have a text screened, and expect no findings."""
    assert caller.process(text).matches == ()


def refusal(caller: Caller, text: str = "a text") -> tuple[type[CallFailed], float]:
    """Return the type of the exception that a call raises, and how long the call takes."""
    started = time.monotonic()
    with pytest.raises(CallFailed) as caught:
        process(caller, text)
    return type(caught.value), time.monotonic() - started
