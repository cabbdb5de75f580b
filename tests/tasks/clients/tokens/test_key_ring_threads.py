"""Look-ups of keys while a fetch runs: what waits for it, what does not, and many at once."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tasks.clients.exceptions import CredentialsRefused, IssuerKeysUnavailable
from tasks.clients.tokens.issuer import FETCH_SECONDS, FetchFailed
from tasks.clients.tokens.key_ring import FETCH_THREAD, MAX_WAITING, KeyRing
from tests.issuer import DISCOVERY, Issuer
from tests.tasks.clients.tokens.trusting import (
    DOWN,
    FOUND,
    UNKNOWN,
    Clock,
    ask,
    key_ring,
    settle,
    verifier,
)
from tests.waiting import wait_until

TEN_MINUTES = 600


# Nobody waits for long


def test_a_known_key_waits_for_no_fetch(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    ask(ring, issuer.kid)
    issuer.hold()
    clock.advance(10)
    ring.begin_fetch()
    wait_until(lambda: issuer.requests[-1] == ("GET", DISCOVERY) and len(issuer.requests) == 3)
    started = time.monotonic()
    ring.find(issuer.kid, "RS256")
    assert time.monotonic() - started < 0.5
    issuer.release()
    settle()


def test_a_slow_issuer_holds_tokens_back_once_for_each_outage(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    issuer.hold()
    clock.advance(TEN_MINUTES)
    started = time.monotonic()
    ring.find(issuer.kid, "RS256")
    assert FETCH_SECONDS - 0.1 <= time.monotonic() - started <= FETCH_SECONDS + 1
    settle()
    for kid in (issuer.kid, "other"):
        clock.advance(10)
        started = time.monotonic()
        try:
            ring.find(kid, "RS256")
        except IssuerKeysUnavailable:
            assert kid == "other"
        assert time.monotonic() - started < 0.5
    issuer.release()
    settle()


@contextlib.contextmanager
def endless_fetch() -> Iterator[Callable[[], Any]]:
    """Yield a fetch that ends with the block: a look-up in the DNS has no deadline of ours."""
    released = threading.Event()

    def fetch() -> Any:
        released.wait()
        return {}

    yield fetch
    released.set()
    settle()


def test_a_fetch_that_never_ends_is_waited_for_once(clock: Clock) -> None:
    with endless_fetch() as fetch, ThreadPoolExecutor(8) as executor:
        ring = KeyRing(fetch, clock=clock)
        started = time.monotonic()
        assert {*executor.map(lambda _: waited(ring), range(8))} == {DOWN}
        assert FETCH_SECONDS - 0.1 <= time.monotonic() - started <= FETCH_SECONDS + 1
        assert {*executor.map(lambda _: waited(ring), range(8))} == {DOWN}
        assert time.monotonic() - started <= FETCH_SECONDS + 1.5
    assert ask(ring, "other") == UNKNOWN


def waited(ring: KeyRing) -> str:
    with pytest.raises(IssuerKeysUnavailable):
        ring.find("other", "RS256")
    return DOWN


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", [ZeroDivisionError, SystemExit])
def test_a_fault_of_our_own_does_not_end_the_fetches(
    clock: Clock, fault: type[BaseException]
) -> None:
    answers: list[Any] = [fault(), {}]

    def fetch() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    ring = KeyRing(fetch, clock=clock)
    assert ask(ring, "other") == DOWN
    clock.advance(10)
    assert [ask(ring, "other") for _ in range(2)] == [DOWN, UNKNOWN]


def test_a_fault_of_our_own_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    def fetch() -> Any:
        raise ZeroDivisionError

    assert ask(KeyRing(fetch), "other") == DOWN
    [line] = caplog.records
    assert (line.levelname, line.exc_info is not None) == ("ERROR", True)


def test_without_a_thread_known_keys_go_on_working(
    ring: KeyRing, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may limit the number of threads."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ask(ring, issuer.kid)
    clock.advance(TEN_MINUTES)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert [ask(ring, kid) for kid in (issuer.kid, "other")] == [FOUND, DOWN]
    clock.advance(10)
    assert [ask(ring, kid) for kid in (issuer.kid, "other")] == [FOUND, UNKNOWN]


def test_no_published_key_is_refused_while_fetches_come_and_go(issuer: Issuer) -> None:
    """A fetch may end, and bring the key, between any two steps of a look-up."""
    keys = key_ring(issuer)._fetch_keys()
    wrong = []
    for _ in range(300):
        failures = [FetchFailed("down")]

        def fetch(failures: list[FetchFailed] = failures) -> Any:
            if failures:
                raise failures.pop()
            return keys

        clock = Clock()
        ring = KeyRing(fetch, clock=clock)
        assert ask(ring, issuer.kid) == DOWN
        clock.advance(10)

        def look(_: int, ring: KeyRing = ring) -> None:
            with contextlib.suppress(IssuerKeysUnavailable):
                ring.find(issuer.kid, "RS256")

        with ThreadPoolExecutor(8) as executor:
            wrong += [
                future.exception()
                for future in [executor.submit(look, number) for number in range(32)]
                if future.exception()
            ]
    assert wrong == []


def test_during_a_long_fetch_a_client_is_told_to_come_again_after_a_second(clock: Clock) -> None:
    with endless_fetch() as fetch:
        ring = KeyRing(fetch, clock=clock)
        ring.begin_fetch()
        clock.advance(20)
        with pytest.raises(IssuerKeysUnavailable) as told:
            ring.find("other", "RS256")
    assert told.value.retry_after_seconds == 1


def test_a_fetch_does_not_hold_back_the_end_of_the_process(ring: KeyRing, issuer: Issuer) -> None:
    issuer.hold()
    ring.begin_fetch()
    [thread] = [thread for thread in threading.enumerate() if thread.name == FETCH_THREAD]
    assert thread.daemon
    issuer.release()
    settle()


# Attackers


def test_ten_thousand_unknown_keys_cause_one_fetch(issuer: Issuer) -> None:
    checked = verifier(issuer)
    checked.verify(issuer.sign())
    _header, rest = issuer.sign().split(".", 1)
    started = time.monotonic()

    def refuse(number: int) -> None:
        forged = issuer.sign(claims=b"{}", headers={"kid": f"unknown-{number}"}).split(".")[0]
        with pytest.raises(CredentialsRefused):
            checked.verify(f"{forged}.{rest}")

    with ThreadPoolExecutor(8) as executor:
        assert len([*executor.map(refuse, range(10_000))]) == 10_000
    allowed = 1 + int((time.monotonic() - started) // 10)
    assert 1 <= issuer.fetches <= 1 + allowed


def test_the_first_tokens_share_one_fetch(ring: KeyRing, issuer: Issuer) -> None:
    with ThreadPoolExecutor(8) as executor:
        found = [*executor.map(lambda _: ring.find(issuer.kid, "RS256"), range(64))]
    assert (len(found), issuer.fetches) == (64, 1)


def test_tokens_at_the_same_time_begin_one_fetch(
    ring: KeyRing, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    meeting = threading.Barrier(2)

    def start_together(thread: threading.Thread) -> None:
        if thread.name == FETCH_THREAD:
            # Nobody comes, unless two fetches begin at the same time.
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.3)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_together)
    with ThreadPoolExecutor(8) as executor:
        found = [*executor.map(lambda _: ring.find(issuer.kid, "RS256"), range(8))]
    assert (len(found), issuer.fetches) == (8, 1)


def test_a_few_tokens_wait_for_a_new_key_and_others_are_told_to_come_again(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    issuer.rotate()
    issuer.hold()
    clock.advance(10)
    with ThreadPoolExecutor(MAX_WAITING) as executor:
        waiting = [executor.submit(ring.find, issuer.kid, "RS256") for _ in range(MAX_WAITING)]
        wait_until(lambda: not ring._places.acquire(blocking=False) or ring._places.release())
        with pytest.raises(IssuerKeysUnavailable) as told:
            ring.find(issuer.kid, "RS256")
        assert told.value.retry_after_seconds == 1
        issuer.release()
        assert all(future.result() for future in waiting)
    settle()
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)


def test_a_place_to_wait_is_given_back(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    ask(ring, issuer.kid)
    for _ in range(MAX_WAITING + 1):
        issuer.rotate("EdDSA")
        clock.advance(10)
        assert ask(ring, issuer.kid, "EdDSA") == FOUND
