"""The pages of the API in a browser, as they arrive; tests/browser uses them."""

import re

import pytest
from django.test import Client

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

pytestmark = pytest.mark.django_db


def form_of(client: Client, path: str) -> tuple[str, str] | None:
    """Return the method and the path that the form of a page is sent to."""
    page = client.get(path, headers={"Accept": BROWSER}).content.decode()
    found = re.search(r'<form id="request" action="(.*?)" data-method="(.*?)">', page)
    return found and (found[2], found[1])


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/submit", "POST"),
        ("/tasks/x/cancel", "POST"),
        ("/tasks", "GET"),
        ("/tasks?limit=2", "GET"),
        ("/tasks/x", "GET"),
        ("/tasks/x/events", "GET"),
        ("/client", "GET"),
    ],
)
def test_page_of_a_request_about_tasks_takes_a_key(client: Client, path: str, method: str) -> None:
    assert form_of(client, path) == (method, path)


def test_other_page_takes_no_key(client: Client) -> None:
    assert form_of(client, "/") is None


def test_key_is_in_no_form_that_a_browser_sends_by_itself(client: Client) -> None:
    page = client.get("/tasks", headers={"Accept": BROWSER}).content.decode()
    [field] = re.findall(r"<input .*?>", page)
    assert 'type="password"' in field
    assert 'autocomplete="off"' in field
    assert "name=" not in field
