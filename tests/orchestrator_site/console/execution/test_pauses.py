"""The page with the switch that pauses all new calls."""

from typing import Any

import pytest
from django.test import Client

from tasks.models import Pause
from tests.orchestrator_site.console.tasks.console_actions import console_of, content, said
from tests.staff import staff

pytestmark = pytest.mark.django_db

PAUSE = "/admin/pause"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console() -> Client:
    return console_of(staff("operate_task", name="ada"))


def test_pause_begins_and_ends(console: Client) -> None:
    assert 'value="begin"' in content(console.get(PAUSE))
    response = console.post(PAUSE, {"step": "begin", "reason": "costs explode"})
    assert (response["Location"], said(response)) == (PAUSE, ["No new call begins from now on."])
    pause = Pause.objects.current()
    assert (pause.actor, pause.reason) == ("ada", "costs explode")
    shown = content(console.get(PAUSE))
    assert 'value="end"' in shown
    assert 'value="begin"' not in shown
    other = console_of(staff("operate_task", name="eve"))
    assert said(other.post(PAUSE, {"step": "end"})) == ["Calls begin again."]
    pause.refresh_from_db()
    assert (Pause.objects.current(), pause.ended_by) == (None, "eve")
    assert "costs explode" in content(console.get(PAUSE))


def test_doing_it_twice_does_nothing(console: Client) -> None:
    assert said(console.post(PAUSE, {"step": "end"})) == ["That was done before."]
    for reason in ("first", "second"):
        response = console.post(PAUSE, {"step": "begin", "reason": reason})
    assert said(response)[-1] == "That was done before."
    assert Pause.objects.get().reason == "first"


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_pause_needs_a_reason(reason: str, console: Client) -> None:
    assert 'class="errorlist"' in content(console.post(PAUSE, {"step": "begin", "reason": reason}))
    assert not Pause.objects.exists()


@pytest.mark.parametrize("post", [{}, {"step": "toggle"}])
def test_unknown_step_is_refused(post: dict[str, Any], console: Client) -> None:
    assert console.post(PAUSE, post).status_code == 400
    assert not Pause.objects.exists()


def test_reason_is_escaped(console: Client) -> None:
    console.post(PAUSE, {"step": "begin", "reason": SCRIPT})
    assert "<script>alert" not in content(console.get(PAUSE))


def test_request_without_the_csrf_token_changes_nothing() -> None:
    strict = console_of(staff("operate_task"), enforce_csrf_checks=True)
    assert strict.post(PAUSE, {"step": "begin", "reason": "x"}).status_code == 403
    assert not Pause.objects.exists()
