"""What trusts an issuer, with a clock that tests move, and what it finds."""

import threading
import time

from tasks.clients.authentication import Authenticator
from tasks.clients.exceptions import CredentialsRefused, IssuerKeysUnavailable
from tasks.clients.tokens.issuer import Issuer as TrustedIssuer
from tasks.clients.tokens.key_ring import FETCH_THREAD, KeyRing
from tasks.clients.tokens.verification import Verifier
from tests.issuer import AUDIENCE, Issuer
from tests.waiting import wait_until

FOUND, UNKNOWN, DOWN = "found", "unknown_key", "unavailable"


class Clock:
    """The time of `time.monotonic`, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_seconds

    def advance(self, seconds: float) -> None:
        self.ahead_seconds += seconds


def key_ring(issuer: Issuer, clock: Clock | None = None) -> KeyRing:
    return KeyRing(TrustedIssuer(issuer.url).fetch_keys, clock=clock or time.monotonic)


def verifier(issuer: Issuer, clock: Clock | None = None) -> Verifier:
    return Verifier(issuer=issuer.url, audience=AUDIENCE, keys=key_ring(issuer, clock))


def authenticator(issuer: Issuer, *, rate_limit: int | None = None) -> Authenticator:
    return Authenticator(
        is_anonymous_allowed=True, rate_limit=rate_limit, verifier=verifier(issuer)
    )


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
