"""A client with a key that may read."""

import pytest

from tasks.clients.scopes import Scope
from tasks.models import Client
from tests.factories import ClientFactory
from tests.tasks.clients.keys import key_of


@pytest.fixture
def owner() -> Client:
    client: Client = ClientFactory()
    return client


@pytest.fixture
def key(owner: Client) -> str:
    return key_of(owner, Scope.READ)
