"""Only the console has sessions and messages."""

import pytest
from django.test import Client

OF_STAFF = {"session", "_messages"}


def test_console_has_sessions_and_messages(client: Client) -> None:
    request = client.get("/admin/login/").wsgi_request
    assert vars(request).keys() >= OF_STAFF


@pytest.mark.parametrize("path", ["/", "/health", "/docs", "/submit", "/tasks/42", "/admin"])
def test_other_paths_have_neither(path: str, client: Client) -> None:
    request = client.get(path).wsgi_request
    assert not OF_STAFF & vars(request).keys()
