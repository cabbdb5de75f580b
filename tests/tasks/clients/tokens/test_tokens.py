"""Requests with a token: which client they find, and what is counted."""

from collections.abc import Iterator

import pytest

from tasks.models import Client
from tests.issuer import Issuer
from tests.tasks.clients.tokens.trusting import authenticator

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.7"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_of_the_issuer_lets_its_client_in(algorithm: str) -> None:
    with Issuer(algorithm=algorithm) as issuer:
        caller = authenticator(issuer).authenticate(
            issuer.token("reporting", "task:read openid"), address=ADDRESS
        )
    client = Client.objects.get()
    assert (caller.client_id, caller.name, caller.scopes) == (
        client.pk,
        "token:reporting",
        {"task:read"},
    )
    assert (client.issuer, client.subject) == (issuer.url, "reporting")
