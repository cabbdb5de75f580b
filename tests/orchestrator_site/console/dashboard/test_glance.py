"""What the dashboard says at a glance."""

from typing import Any

import pytest
from django.test import Client

from tests.staff import staff

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("is_on", "shown"),
    [
        (True, "<strong>Anonymous access is on</strong>: no key is needed to submit tasks"),
        (False, "Anonymous access: off"),
    ],
)
def test_dashboard_always_says_whether_anonymous_access_is_on(
    is_on: bool, shown: str, client: Client, settings: Any
) -> None:
    settings.ANONYMOUS_ACCESS = is_on
    client.force_login(staff())
    assert f"<li>{shown}</li>" in client.get("/admin/").content.decode()
