"""The slots for the requests that a process works on."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from orchestrator_site.serving.limits import MAX_WAIT_SECONDS, Slots

# No test takes this long.
WAIT_SECONDS = 20


@pytest.fixture
def clients() -> ThreadPoolExecutor:
    with ThreadPoolExecutor() as executor:
        yield executor


def start_waiting(slots: Slots, clients: ThreadPoolExecutor) -> "Future[bool]":
    """Let another thread ask for a slot; return once it is waiting."""
    before = len(slots._waiting)
    asked = clients.submit(slots.take, WAIT_SECONDS)
    while len(slots._waiting) == before:
        assert not asked.done()
    return asked


def test_no_more_slots_can_be_taken_than_there_are() -> None:
    slots = Slots(2)
    assert [slots.take(0) for _ in range(3)] == [True, True, False]


def test_returned_slot_can_be_taken_again() -> None:
    slots = Slots(1)
    for _ in range(3):
        assert slots.take(0)
        slots.give_back()


def test_returned_slot_goes_to_the_thread_that_has_waited_longest(
    clients: ThreadPoolExecutor,
) -> None:
    slots = Slots(1)
    assert slots.take(0)
    first, second = (start_waiting(slots, clients) for _ in range(2))
    slots.give_back()
    third = start_waiting(slots, clients)
    assert first.result() is True
    assert not second.done()
    slots.give_back()
    assert second.result() is True
    assert not third.done()
    slots.give_back()
    assert third.result() is True


@pytest.mark.alone
def test_requests_are_refused_at_once_while_no_slot_is_returned(
    clients: ThreadPoolExecutor,
) -> None:
    slots = Slots(1)
    assert slots.take(0)
    started = time.monotonic()
    assert not slots.take(WAIT_SECONDS)
    assert MAX_WAIT_SECONDS / 2 < time.monotonic() - started < WAIT_SECONDS
    started = time.monotonic()
    assert not slots.take(WAIT_SECONDS)
    assert time.monotonic() - started < MAX_WAIT_SECONDS / 2
    slots.give_back()
    assert slots.take(0)
    waiting = start_waiting(slots, clients)
    slots.give_back()
    assert waiting.result() is True


def test_a_short_wait_without_success_does_not_stop_others_from_waiting(
    clients: ThreadPoolExecutor,
) -> None:
    slots = Slots(1)
    assert slots.take(0)
    assert not slots.take(0.01)
    waiting = start_waiting(slots, clients)
    slots.give_back()
    assert waiting.result() is True
