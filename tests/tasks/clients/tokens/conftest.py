import pytest

from tasks.clients.tokens.key_ring import KeyRing
from tests.issuer import Issuer
from tests.tasks.clients.tokens.trusting import Clock, key_ring


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(issuer: Issuer, clock: Clock) -> KeyRing:
    return key_ring(issuer, clock)
