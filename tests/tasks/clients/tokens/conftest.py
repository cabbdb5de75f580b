from collections.abc import Iterator

import pytest

from tests.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real issuer of its own for each test."""
    with Issuer() as issuer:
        yield issuer
