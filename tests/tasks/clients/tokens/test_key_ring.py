"""When the keys of an issuer are fetched anew, and how long they are good. A clock is set ahead."""

import logging
import time
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tasks.clients.exceptions import IssuerKeysUnavailable
from tasks.clients.tokens.issuer import Issuer as TrustedIssuer
from tasks.clients.tokens.key_ring import KeyRing
from tests.issuer import DISCOVERY, KEYS, Answer, Issuer
from tests.tasks.clients.tokens.trusting import DOWN, FOUND, UNKNOWN, Clock, ask, settle

NINE_MINUTES, TEN_MINUTES = 540, 600
A_DAY = 86_400


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
