"""The console's pages about arms."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from orchestrator_site.console.arms import figures as arm_figures
from orchestrator_site.console.arms.figures import figures
from tasks.arms.declared import parse_arms
from tasks.models import Arm, Call, Run, Step
from tasks.models.execution import arm as arms
from tests.factories import TaskFactory
from tests.orchestrator_site.console.execution.carried_out import (
    attempt_at,
    call_of,
    make_arm,
    step_of,
)
from tests.orchestrator_site.console.tasks.console_actions import console_of, content, said
from tests.staff import staff
from tests.tasks.actions import waiting

pytestmark = pytest.mark.django_db

ARMS = "/admin/tasks/arm/"
GIVEN = {
    "name": "coder",
    "protocol": "octollm",
    "url": "http://coder:8003/",
    "model": "",
    "capabilities": ["execute"],
    "room": "4",
    "timeout_seconds": "30",
    "tier": "2",
    "usd_per_million_input": "0.5",
    "usd_per_million_output": "1.25",
    "max_answer_tokens": "4096",
}


@pytest.fixture
def console() -> Client:
    return console_of(staff("view_arm", "manage_arms", "view_task", name="ada"))


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def page_of(arm: str) -> str:
    return f"{ARMS}{arm}/change/"


def called(arm: Arm, **fields: Any) -> Call:
    run = Run.objects.create(task=TaskFactory(), number=1)
    return call_of(attempt_at(step_of(run, arm=arm, state="running")), **fields)


def jobs() -> list[tuple[str, dict[str, Any]]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, args FROM procrastinate_jobs ORDER BY task_name")
        return [(name, json.loads(args)) for name, args in cursor.fetchall()]


# The list and the figures


def test_list_shows_state_work_and_figures(console: Client) -> None:
    arm = make_arm("helper", health="healthy", capabilities=["execute", "plan"])
    called(arm)
    called(arm, outcome="failed")
    called(arm, outcome=None)
    page = content(console.get(ARMS))
    cells = re.findall(r'class="field-(\w+)[^"]*">(.*?)</t[dh]>', page)
    assert [(name, words(cell)) for name, cell in cells] == [
        ("name", "helper"),
        ("state", "✓ Healthy"),
        ("protocol", "octollm"),
        ("can", "execute, plan"),
        ("busy", "1 (8)"),
        ("calls_last_hour", "3"),
        ("failures_last_hour", "1"),
        ("dollars_today", "0.025"),
    ]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "? Not asked yet"),
        ({"health": "degraded"}, "△ Degraded"),
        ({"health": "down"}, "✕ Down"),
        ({"health": "misconfigured"}, "▲ Misconfigured"),
        ({"health": "down", "is_enabled": False}, "⊘ Disabled"),
    ],
)
def test_state_is_one_label(fields: dict[str, Any], label: str, console: Client) -> None:
    make_arm(**fields)
    assert label in words(content(console.get(ARMS)))
    assert label in words(content(console.get(page_of("helper"))))


def test_figures_leave_out_older_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    arm, other = make_arm(), make_arm("other")
    called(other)
    called(arm, started_at=now - timedelta(minutes=59), cost_usd=Decimal(2))
    called(arm, started_at=now - timedelta(days=1, minutes=1))
    found = figures(["helper"])["helper"]
    assert (found.busy, found.calls, found.failures) == (0, 1, 0)
    today = now - timedelta(minutes=59) >= now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert found.dollars == ("2.00" if today else "0.00")
    monkeypatch.setattr(arm_figures, "MAX_CALLS_OF_A_DAY", 0)
    assert figures(["other"])["other"].dollars.startswith("at least ")


@pytest.mark.parametrize("count", [1, 10])
def test_list_takes_the_same_queries_for_many_arms(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        called(make_arm(f"arm-{number}"))
    # Session, user, permissions (2), count, arms, figures, pause.
    with django_assert_num_queries(8):
        content(console.get(ARMS))


# The page


def test_page_shows_everything_but_the_secret(console: Client, settings: Any) -> None:
    settings.ARM_SECRETS = {"my-arm": "hunter2"}
    make_arm(
        "my-arm",
        protocol="openai",
        url="http://models:11434/v1",
        model="llama3.2",
        is_idempotent=True,
        tier=2,
        usd_per_million_input=Decimal("0.5"),
        refused_parameters=["max_tokens"],
    )
    page = content(console.get(page_of("my-arm")))
    for text in (
        "Protocol openai",
        "URL http://models:11434/v1",
        "Model llama3.2",
        "Secret ORCHESTRATOR_ARM_MY_ARM_SECRET of each worker",
        "Idempotent yes: a call with an unknown outcome is repeated",
        "Price tier 2",
        "0.5 of a request, 0 of an answer",
        "Parameters that it refused max_tokens",
        "Health last asked for never",
        "Tasks that it got",
    ):
        assert text in words(page)
    assert "hunter2" not in page


def test_page_warns_if_a_variable_names_the_arm(console: Client, settings: Any) -> None:
    make_arm()
    text = "each start of a worker sets it again"
    assert text not in content(console.get(page_of("helper")))
    settings.ARMS = parse_arms("helper=octollm+http://helper:8003")
    assert text in content(console.get(page_of("helper")))


def test_unknown_arm_leads_to_the_list(console: Client) -> None:
    response = console.get(page_of("nobody"))
    assert (response["Location"], said(response)) == (ARMS, ["There is no such arm."])


def test_staff_who_may_only_view_have_no_forms() -> None:
    make_arm()
    console = console_of(staff("view_arm"))
    page = content(console.get(page_of("helper")))
    assert "<form method" not in page.partition('id="content-main"')[2]
    for step in ("enable", "disable", "change"):
        assert console.post(page_of("helper"), GIVEN | {"step": step}).status_code == 403
    assert console.post(f"{ARMS}add/", GIVEN).status_code == 403
    assert Arm.objects.get().url == "http://helper:8003"


# Enabling and disabling


def test_log_says_who_changed_an_arm(console: Client, caplog: pytest.LogCaptureFixture) -> None:
    make_arm()
    console.post(page_of("helper"), {"step": "disable"})
    console.post(f"{ARMS}add/", GIVEN)
    said_in_log = [
        (record.arm, record.step, record.actor)
        for record in caplog.records
        if record.message == "Staff changed an arm"
    ]
    assert said_in_log == [("helper", "disable", "ada"), ("coder", "register", "ada")]


def test_disabled_arm_keeps_its_open_calls(console: Client) -> None:
    call = called(make_arm(), outcome=None)
    response = console.post(page_of("helper"), {"step": "disable"})
    assert said(response) == [
        "Disabled helper: it gets no new calls. Those that it works on may end."
    ]
    call.refresh_from_db()
    assert (Arm.objects.get().is_enabled, call.outcome) == (False, None)
    assert "it gets no new calls" in content(console.get(page_of("helper")))


def test_enabled_arm_is_asked_for_its_health_and_gets_what_waited(console: Client) -> None:
    make_arm(is_enabled=False, health="misconfigured")
    step = waiting(waits_for="arm")
    console.post(page_of("helper"), {"step": "enable"})
    arm = Arm.objects.get()
    assert (arm.is_enabled, arm.health) == (True, "unknown")
    assert jobs() == [
        ("carry_out", {"step": str(step.pk)}),
        ("check_arm", {"arm": "helper"}),
    ]


def test_staff_have_looked_at_a_misconfigured_arm(console: Client) -> None:
    make_arm(health="misconfigured")
    page = content(console.get(page_of("helper")))
    assert "It gets no calls until staff have looked." in page
    assert "Enable helper: I have looked" in page
    console.post(page_of("helper"), {"step": "enable"})
    assert Arm.objects.get().health == "unknown"
    assert 'value="enable"' not in content(console.get(page_of("helper")))


def test_unknown_step_is_refused(console: Client) -> None:
    make_arm()
    assert console.post(page_of("helper"), {"step": "delete"}).status_code == 400
    assert Arm.objects.exists()


# The forms


def test_new_arm_is_registered(console: Client) -> None:
    assert content(console.get(f"{ARMS}add/"))
    response = console.post(f"{ARMS}add/", GIVEN)
    assert response["Location"] == page_of("coder")
    arm = Arm.objects.get()
    assert (arm.name, arm.protocol, arm.url, arm.room) == (
        "coder",
        "octollm",
        "http://coder:8003",
        4,
    )
    assert (arm.usd_per_million_output, arm.tier, arm.is_idempotent) == (Decimal("1.25"), 2, False)
    assert jobs() == [("check_arm", {"arm": "coder"})]
    # A start of a worker with the same arm would change nothing.
    Arm.objects.declare([arm.description])
    assert Arm.objects.get().created_at == arm.created_at


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name": "Coder"}, "The name must have 1 to 40 of a-z, 0-9 and -"),
        ({"name": ""}, "This field is required."),
        ({"name": "helper"}, "There is an arm with this name."),
        ({"url": "coder:8003"}, "The URL must look like http://host:8090."),
        ({"url": "http://user:pass@coder"}, "The URL must have no user and password"),
        ({"url": "http://coder/?x=1"}, "The URL must have no query and no fragment."),
        ({"protocol": "openai"}, "The URL of a model server must end in /v1."),
        ({"protocol": "openai", "url": "http://x/v1"}, "The model is missing"),
        ({"model": "llama"}, "The model is only for openai arms."),
        ({"protocol": "grpc"}, "Select a valid choice."),
        ({"capabilities": []}, "Choose at least one."),
        ({"capabilities": ["fly"]}, "Select a valid choice."),
        ({"room": "0"}, "greater than or equal to 1"),
        ({"room": "1001"}, "less than or equal to 1000"),
        ({"timeout_seconds": "301"}, "less than or equal to 300"),
        ({"tier": "10"}, "less than or equal to 9"),
        ({"usd_per_million_input": "-1"}, "The price must be a number from 0"),
        ({"usd_per_million_output": "NaN"}, "The price must be a number from 0"),
        ({"max_answer_tokens": "0"}, "greater than or equal to 1"),
    ],
)
def test_invalid_arm_is_refused(fields: dict[str, Any], fault: str, console: Client) -> None:
    make_arm()
    page = content(console.post(f"{ARMS}add/", GIVEN | fields))
    assert fault in unescape(page)
    assert Arm.objects.count() == 1


def test_too_many_arms_are_refused(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "MAX_ARMS", 1)
    make_arm()
    page = content(console.post(f"{ARMS}add/", GIVEN))
    assert "arms already, and no more can be added." in page
    assert Arm.objects.count() == 1


def form_of(page: str) -> dict[str, Any]:
    """Return what a browser would send of the form that changes an arm."""
    form = page.partition('class="client-form arm-form"')[2].partition("</form>")[0]
    values: dict[str, Any] = {"capabilities": []}
    for tag in re.findall(r"<input[^>]*>", form):
        given = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if given.get("type") == "checkbox":
            if " checked" in tag and given["name"] == "capabilities":
                values["capabilities"].append(given["value"])
            elif " checked" in tag:
                values[given["name"]] = "on"
        else:
            values[given["name"]] = given.get("value", "")
    [values["protocol"]] = re.findall(r'<option value="(\w+)" selected>', form)
    return values


def test_form_that_is_sent_as_it_is_changes_nothing(console: Client) -> None:
    make_arm(is_idempotent=True, usd_per_million_input=Decimal("0.15"), health="healthy")
    before = Arm.objects.values().get()
    given = form_of(content(console.get(page_of("helper"))))
    response = console.post(page_of("helper"), given | {"step": "change"})
    assert said(response) == ["Changed helper."]
    assert Arm.objects.values().get() == before


def test_changed_arm_is_looked_at_anew(console: Client) -> None:
    make_arm(health="healthy", room=1)
    step = waiting(waits_for="room")
    given = GIVEN | {"step": "change", "url": "http://elsewhere:8003", "room": "2"}
    # The name cannot be changed.
    console.post(page_of("helper"), given)
    arm = Arm.objects.get()
    assert (arm.name, arm.url, arm.room, arm.health) == (
        "helper",
        "http://elsewhere:8003",
        2,
        "unknown",
    )
    assert ("carry_out", {"step": str(step.pk)}) in jobs()
    assert Step.objects.get().waits_for == "room"


def test_invalid_change_shows_the_form_again(console: Client) -> None:
    make_arm()
    given = GIVEN | {"step": "change", "url": "ftp://x"}
    page = content(console.post(page_of("helper"), given))
    assert "The URL must look like" in page
    assert 'value="ftp://x"' in page
    assert Arm.objects.get().url == "http://helper:8003"
