"""What the dashboard says at a glance."""

from typing import Any

import pytest
from django.test import Client

from orchestrator_site.console.dashboard.state import Concern, DatabaseState, concerns
from orchestrator_site.console.reflex_state import ProcessView
from safety.models import Receipt
from tests.orchestrator_site.console.execution.carried_out import make_arm
from tests.orchestrator_site.console.tasks.console_actions import (
    console_of,
    content,
    start_worker,
)
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


DATABASE = DatabaseState("18.4", 0.5, 3, 100, 0)


@pytest.mark.parametrize(
    ("circuits", "database", "is_screening_off", "found"),
    [
        (["closed", "closed"], DATABASE, False, []),
        ([], DATABASE, False, []),
        # The circuit is changing.
        ([""], DATABASE, False, []),
        (["closed", "open"], DATABASE, False, ["open in 1 of 2 processes"]),
        (["open"], DATABASE, True, ["Nothing is screened"]),
        (
            [],
            DatabaseState("18.4", 0.5, 90, 100, 2),
            False,
            ["Unapplied migrations: 2", "90 of 100"],
        ),
    ],
)
def test_concerns(
    circuits: list[str], database: DatabaseState, is_screening_off: bool, found: list[str]
) -> None:
    views = [ProcessView(pid, circuit) for pid, circuit in enumerate(circuits)]
    shown: list[Concern] = concerns(views, database, is_screening_off=is_screening_off)
    assert len(shown) == len(found)
    for concern, text in zip(shown, found, strict=True):
        assert text in concern.text


@pytest.mark.parametrize(
    ("codenames", "is_link"), [(["view_receipt"], True), (["view_task"], False)]
)
def test_submissions_without_a_verdict_are_a_concern(codenames: list[str], is_link: bool) -> None:
    make_arm()
    start_worker()
    console = console_of(staff(*codenames))
    assert "All is well." in content(console.get("/admin/"))
    Receipt.objects.create(verdict="none", reason="no answer in time")
    shown = content(console.get("/admin/"))
    assert "All is well." not in shown
    text = "Submissions without a verdict in this hour and the previous one: 1."
    assert text in shown
    assert (f">{text}</a>" in shown) is is_link
