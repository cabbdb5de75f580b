"""What trusts an issuer, with a clock that tests move."""

import time

from tasks.clients.authentication import Authenticator
from tasks.clients.tokens.issuer import Issuer as TrustedIssuer
from tasks.clients.tokens.key_ring import KeyRing
from tasks.clients.tokens.verification import Verifier
from tests.issuer import AUDIENCE, Issuer


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
