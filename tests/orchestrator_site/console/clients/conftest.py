"""Staff who manage clients."""

import pytest
from django.test import Client as Browser

from tests.orchestrator_site.console.clients.client_pages import console_of


@pytest.fixture
def console() -> Browser:
    return console_of("manage_client", "view_task", "view_receipt")
