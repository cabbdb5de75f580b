"""When the keys of an issuer are fetched anew, and how long they are good. A clock is set ahead."""

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tasks.clients.exceptions import CredentialsRefused, IssuerKeysUnavailable
from tasks.clients.tokens.issuer import FETCH_SECONDS, FetchFailed
from tasks.clients.tokens.issuer import Issuer as TrustedIssuer
from tasks.clients.tokens.key_ring import FETCH_THREAD, MAX_WAITING, KeyRing
from tests.issuer import DISCOVERY, KEYS, Answer, Issuer
from tests.tasks.clients.tokens.trusting import Clock, key_ring, verifier
from tests.waiting import wait_until

NINE_MINUTES, TEN_MINUTES = 540, 600
A_DAY = 86_400
DOWN = "unavailable"
UNKNOWN = "unknown_key"
FOUND = "found"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(issuer: Issuer, clock: Clock) -> KeyRing:
    return key_ring(issuer, clock)


def settle() -> None:
    """Wait until no fetch runs."""
    wait_until(lambda: FETCH_THREAD not in {thread.name for thread in threading.enumerate()})


def ask(ring: KeyRing, kid: str, algorithm: str = "RS256") -> str:
    """Look for a key, and let the fetch end that this may begin."""
    try:
        ring.find(kid, algorithm)
    except CredentialsRefused as refused:
        return refused.cause
    except IssuerKeysUnavailable:
        return DOWN
    else:
        return FOUND
    finally:
        settle()


def fetches(result: str) -> float:
    name = "octollm_orchestrator_issuer_fetches_total"
    return REGISTRY.get_sample_value(name, {"result": result}) or 0


# The first fetch, and the next ones


def test_the_first_token_waits_for_the_keys(ring: KeyRing, issuer: Issuer) -> None:
    assert issuer.requests == []
    assert ask(ring, issuer.kid) == FOUND
    assert issuer.fetches == 1


def test_keys_are_fetched_anew_after_ten_minutes(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    clock.advance(NINE_MINUTES - 5)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 1)
    clock.advance(TEN_MINUTES - NINE_MINUTES + 5)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)


def test_a_busy_process_fetches_a_minute_sooner_and_waits_for_nothing(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    issuer.hold()
    clock.advance(NINE_MINUTES)
    started = time.monotonic()
    ring.find(issuer.kid, "RS256")
    assert time.monotonic() - started < 0.5
    issuer.release()
    settle()
    clock.advance(TEN_MINUTES - NINE_MINUTES)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)


def test_without_tokens_nothing_is_fetched(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    ask(ring, issuer.kid)
    clock.advance(A_DAY)
    settle()
    assert issuer.fetches == 1


def test_keys_can_be_fetched_before_the_first_token(ring: KeyRing, issuer: Issuer) -> None:
    ring.begin_fetch()
    settle()
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 1)
    ring.begin_fetch()
    settle()
    assert issuer.fetches == 1


def test_keys_are_as_old_as_the_start_of_their_fetch(issuer: Issuer, clock: Clock) -> None:
    def fetch() -> Any:
        clock.advance(2)
        return TrustedIssuer(issuer.url).fetch_keys()

    ring = KeyRing(fetch, clock=clock)
    ask(ring, issuer.kid)
    clock.advance(NINE_MINUTES - 1)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)


# Rotation


def test_a_new_key_is_found_ten_seconds_after_the_last_fetch(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    before = issuer.kid
    ask(ring, before)
    issuer.rotate()
    assert (ask(ring, issuer.kid), issuer.fetches) == (UNKNOWN, 1)
    clock.advance(9)
    assert (ask(ring, issuer.kid), issuer.fetches) == (UNKNOWN, 1)
    clock.advance(1)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)
    assert ask(ring, before) == FOUND


def test_a_new_key_may_have_another_algorithm(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    ask(ring, issuer.kid)
    issuer.rotate("ES256")
    clock.advance(10)
    assert [ask(ring, issuer.kid, name) for name in ("ES256", "RS256")] == [FOUND, UNKNOWN]


def test_a_key_that_is_withdrawn_is_refused_after_the_next_fetch(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    before = issuer.kid
    issuer.rotate()
    assert [ask(ring, kid) for kid in (before, issuer.kid)] == [FOUND, FOUND]
    issuer.withdraw(before)
    clock.advance(NINE_MINUTES - 5)
    assert ask(ring, before) == FOUND
    clock.advance(TEN_MINUTES - NINE_MINUTES + 5)
    # The one that comes first after ten minutes is refused already.
    assert [ask(ring, kid) for kid in (before, issuer.kid)] == [UNKNOWN, FOUND]


def test_a_withdrawn_key_may_come_back(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    ask(ring, issuer.kid)
    keys = issuer.keys
    issuer.withdraw()
    clock.advance(TEN_MINUTES)
    assert ask(ring, issuer.kid) == UNKNOWN
    issuer.keys = keys
    clock.advance(10)
    assert ask(ring, issuer.kid) == FOUND


def test_a_set_without_keys_withdraws_all(
    ring: KeyRing, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ask(ring, issuer.kid)
    issuer.answers[KEYS] = Answer(body={"keys": []})
    clock.advance(TEN_MINUTES)
    assert ask(ring, issuer.kid) == UNKNOWN
    assert caplog.messages[-1] == "The key set of the issuer has no key that can be used"


# An issuer that is down


BROKEN: dict[str, Any] = {
    "down": Issuer.go_down,
    "broken": lambda issuer: issuer.answers.update({KEYS: Answer(500)}),
    "moved": lambda issuer: issuer.answers.update({KEYS: Answer(302, {"Location": "/"})}),
    "nonsense": lambda issuer: issuer.answers.update({KEYS: Answer(body=b"<html>")}),
    "another issuer": lambda issuer: issuer.answers.update(
        {DISCOVERY: Answer(body={"issuer": "https://other.example", "jwks_uri": issuer.keys_url})}
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_keys_live_for_a_day_without_a_fetch_that_works(
    ring: KeyRing, issuer: Issuer, clock: Clock, fault: str
) -> None:
    ask(ring, issuer.kid)
    BROKEN[fault](issuer)
    for seconds in (TEN_MINUTES, 10, 3_600, A_DAY - 3_600 - TEN_MINUTES - 15):
        clock.advance(seconds)
        assert ask(ring, issuer.kid) == FOUND
    clock.advance(5)
    assert ask(ring, issuer.kid) == DOWN


def test_an_unknown_key_is_no_refusal_while_the_issuer_is_down(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    issuer.go_down()
    # The last fetch worked.
    assert ask(ring, "other") == UNKNOWN
    clock.advance(10)
    assert ask(ring, "other") == DOWN
    issuer.come_up()
    assert ask(ring, "other") == DOWN
    clock.advance(10)
    # After a fetch that failed, the first one does not wait for the next fetch.
    assert [ask(ring, "other") for _ in range(2)] == [DOWN, UNKNOWN]


def test_the_first_token_of_an_issuer_that_is_down(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.go_down()
    assert ask(ring, issuer.kid) == DOWN
    issuer.come_up()
    clock.advance(10)
    assert [ask(ring, issuer.kid) for _ in range(2)] == [DOWN, FOUND]


def test_a_client_is_told_when_to_come_again(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    issuer.go_down()
    with pytest.raises(IssuerKeysUnavailable) as first:
        ring.find("other", "RS256")
    assert first.value.retry_after_seconds == 10
    clock.advance(7)
    with pytest.raises(IssuerKeysUnavailable) as second:
        ring.find("other", "RS256")
    assert second.value.retry_after_seconds == 3


def test_an_issuer_that_limits_our_rate_is_left_alone(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ask(ring, issuer.kid)
    issuer.answers[KEYS] = Answer(429, {"Retry-After": "120"})
    clock.advance(TEN_MINUTES)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)
    with pytest.raises(IssuerKeysUnavailable) as told:
        ring.find("other", "RS256")
    assert 118 <= told.value.retry_after_seconds <= 120
    clock.advance(115)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 2)
    del issuer.answers[KEYS]
    clock.advance(5)
    assert (ask(ring, issuer.kid), issuer.fetches) == (FOUND, 3)
    assert ask(ring, "other") == UNKNOWN


def test_a_wish_of_the_issuer_is_granted_for_an_hour_at_most(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.answers[KEYS] = Answer(429, {"Retry-After": "999999999999"})
    assert ask(ring, issuer.kid) == DOWN
    del issuer.answers[KEYS]
    clock.advance(3_600)
    assert [ask(ring, issuer.kid) for _ in range(2)] == [DOWN, FOUND]


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


def test_a_fetch_that_never_ends_is_waited_for_once(clock: Clock) -> None:
    """A look-up in the DNS has no deadline of ours."""
    released = threading.Event()

    def fetch() -> Any:
        released.wait()
        return {}

    ring = KeyRing(fetch, clock=clock)
    with ThreadPoolExecutor(8) as executor:
        started = time.monotonic()
        assert {*executor.map(lambda _: waited(ring), range(8))} == {DOWN}
        assert FETCH_SECONDS - 0.1 <= time.monotonic() - started <= FETCH_SECONDS + 1
        assert {*executor.map(lambda _: waited(ring), range(8))} == {DOWN}
        assert time.monotonic() - started <= FETCH_SECONDS + 1.5
    released.set()
    settle()
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
    released = threading.Event()

    def fetch() -> Any:
        released.wait()
        return {}

    ring = KeyRing(fetch, clock=clock)
    ring.begin_fetch()
    clock.advance(20)
    with pytest.raises(IssuerKeysUnavailable) as told:
        ring.find("other", "RS256")
    released.set()
    settle()
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


# What operators see


def test_fetches_are_counted_and_failures_logged(
    ring: KeyRing, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = fetches("worked"), fetches("failed")
    ask(ring, issuer.kid)
    issuer.go_down()
    clock.advance(TEN_MINUTES)
    ask(ring, issuer.kid)
    assert (fetches("worked"), fetches("failed")) == (before[0] + 1, before[1] + 1)
    ours = [record for record in caplog.records if record.name.startswith("tasks.")]
    assert [(record.levelname, record.getMessage()) for record in ours] == [
        ("INFO", "Fetched the keys of the issuer"),
        ("WARNING", "The keys of the issuer cannot be fetched"),
    ]
    assert ours[1].__dict__["reason"] == "discovery document: connection failed"


def test_keys_that_stay_the_same_are_not_worth_a_line(
    ring: KeyRing, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ask(ring, issuer.kid)
    caplog.set_level(logging.INFO)
    caplog.clear()
    clock.advance(TEN_MINUTES)
    ask(ring, issuer.kid)
    assert [record for record in caplog.records if record.name.startswith("tasks.")] == []


def test_changed_keys_are_worth_a_line(
    ring: KeyRing, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ask(ring, issuer.kid)
    caplog.set_level(logging.INFO)
    caplog.clear()
    issuer.rotate()
    clock.advance(TEN_MINUTES)
    ask(ring, issuer.kid)
    [line] = [record for record in caplog.records if record.name.startswith("tasks.")]
    assert (line.getMessage(), line.__dict__["keys"]) == ("The keys of the issuer have changed", 2)
