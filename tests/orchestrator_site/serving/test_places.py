"""The places of the requests under way."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from orchestrator_site.serving.limits import MAX_WAIT_SECONDS, Places

# Longer than any test takes.
WAIT_SECONDS = 20


@pytest.fixture
def clients() -> ThreadPoolExecutor:
    with ThreadPoolExecutor() as executor:
        yield executor


def start_waiting(places: Places, clients: ThreadPoolExecutor) -> "Future[bool]":
    """Let another thread ask for a place; return once it waits for one."""
    before = len(places._waiting)
    asked = clients.submit(places.take, WAIT_SECONDS)
    while len(places._waiting) == before:
        assert not asked.done()
    return asked


def test_so_many_places_can_be_taken_and_no_more() -> None:
    places = Places(2)
    assert [places.take(0) for _ in range(3)] == [True, True, False]


def test_place_given_back_can_be_taken_again() -> None:
    places = Places(1)
    for _ in range(3):
        assert places.take(0)
        places.give_back()


def test_who_gives_a_place_back_does_not_get_it_before_those_who_wait(
    clients: ThreadPoolExecutor,
) -> None:
    places = Places(1)
    assert places.take(0)
    first, second = (start_waiting(places, clients) for _ in range(2))
    places.give_back()
    third = start_waiting(places, clients)
    assert first.result() is True
    assert not second.done()
    places.give_back()
    assert second.result() is True
    assert not third.done()
    places.give_back()
    assert third.result() is True


def test_once_nothing_has_moved_for_a_while_nobody_waits_until_something_does(
    clients: ThreadPoolExecutor,
) -> None:
    places = Places(1)
    assert places.take(0)
    started = time.monotonic()
    assert not places.take(WAIT_SECONDS)
    assert MAX_WAIT_SECONDS / 2 < time.monotonic() - started < WAIT_SECONDS
    started = time.monotonic()
    assert not places.take(WAIT_SECONDS)
    assert time.monotonic() - started < MAX_WAIT_SECONDS / 2
    places.give_back()
    assert places.take(0)
    waiting = start_waiting(places, clients)
    places.give_back()
    assert waiting.result() is True


def test_short_wait_in_vain_does_not_keep_others_from_waiting(clients: ThreadPoolExecutor) -> None:
    places = Places(1)
    assert places.take(0)
    assert not places.take(0.01)
    waiting = start_waiting(places, clients)
    places.give_back()
    assert waiting.result() is True
