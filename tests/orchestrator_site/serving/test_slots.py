"""The slots of the requests under way."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from orchestrator_site.serving.limits import MAX_WAIT_SECONDS, Slots

# Longer than any test takes.
WAIT_SECONDS = 20


@pytest.fixture
def clients() -> ThreadPoolExecutor:
    with ThreadPoolExecutor() as executor:
        yield executor


def start_waiting(slots: Slots, clients: ThreadPoolExecutor) -> "Future[bool]":
    """Let another thread ask for a slot; return once it waits for one."""
    before = len(slots._waiting)
    asked = clients.submit(slots.take, WAIT_SECONDS)
    while len(slots._waiting) == before:
        assert not asked.done()
    return asked


def test_so_many_slots_can_be_taken_and_no_more() -> None:
    slots = Slots(2)
    assert [slots.take(0) for _ in range(3)] == [True, True, False]


def test_place_given_back_can_be_taken_again() -> None:
    slots = Slots(1)
    for _ in range(3):
        assert slots.take(0)
        slots.give_back()


def test_who_gives_a_place_back_does_not_get_it_before_those_who_wait(
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
def test_once_nothing_has_moved_for_a_while_nobody_waits_until_something_does(
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


def test_short_wait_in_vain_does_not_keep_others_from_waiting(clients: ThreadPoolExecutor) -> None:
    slots = Slots(1)
    assert slots.take(0)
    assert not slots.take(0.01)
    waiting = start_waiting(slots, clients)
    slots.give_back()
    assert waiting.result() is True
