"""Calls of the real client to a peer that the test scripts."""

import time

import pytest

from safety.client import ReflexClient
from safety.exceptions import NoVerdict
from safety.transport import DeadlineAdapter

DEADLINE_SECONDS = 0.3


def client_of(url: str, deadline_seconds: float = DEADLINE_SECONDS) -> ReflexClient:
    return ReflexClient(
        url=url, deadline_seconds=deadline_seconds, adapter=DeadlineAdapter(connections=2)
    )


def process(client: ReflexClient, text: str = "a text") -> None:
    """Have a text screened that the peer calls clean."""
    assert client.process(text, request_id="request-1").matches == ()


def refusal(client: ReflexClient, text: str = "a text") -> tuple[type[NoVerdict], float]:
    """Return what kind of exception there is instead of an answer, and after what time."""
    started = time.monotonic()
    with pytest.raises(NoVerdict) as caught:
        process(client, text)
    return type(caught.value), time.monotonic() - started
