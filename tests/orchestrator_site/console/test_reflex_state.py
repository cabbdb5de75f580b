"""The state of the Reflex Layer as each process last saw it, on the console's first page."""

import html
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from orchestrator_site.console.reflex_state import ProcessView, reflex_state
from safety.document import Document
from safety.exceptions import NoVerdict
from safety.gate import gate
from safety.metrics import CIRCUIT_STATE, LAST_SEEN
from tests.conftest import StartService
from tests.environment import ROOT
from tests.reflex_layer import ScriptedReflexLayer, injection, pii, resets, says
from tests.service import Service
from tests.waiting import wait_until

SOON_SECONDS = 20


@pytest.fixture
def fresh_gauges() -> None:
    """Gauges as in a process that has just started."""
    CIRCUIT_STATE.clear()
    LAST_SEEN.clear()


def screen() -> None:
    gate().screen(Document({"goal": "abc"}), request_id="request-1")


@pytest.mark.usefixtures("fresh_gauges")
def test_process_without_a_circuit_has_no_view() -> None:
    assert reflex_state() == []


@pytest.mark.usefixtures("fresh_gauges", "reflex_layer")
def test_process_without_an_answer_yet() -> None:
    gate()
    assert reflex_state() == [ProcessView(pid=os.getpid(), circuit="closed")]


@pytest.mark.usefixtures("fresh_gauges")
def test_the_newest_answer_and_the_newest_failure_are_seen(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    before = datetime.now(UTC)
    for behaviour in (says(pii()), says(injection("Low"))):
        reflex_layer.behaviour = behaviour
        screen()
    answered = datetime.now(UTC)
    reflex_layer.behaviour = resets
    for _ in range(5):
        with pytest.raises(NoVerdict):
            screen()
    wait_until(lambda: reflex_state()[0].circuit == "open")
    [view] = reflex_state()
    assert (view.circuit, view.answer) == ("open", "flagged")
    assert view.answered_at
    assert view.failed_at
    # The gauge holds the time as a float, which is exact to a microsecond.
    margin = timedelta(microseconds=1)
    assert before - margin <= view.answered_at <= answered + margin
    assert answered - margin <= view.failed_at <= datetime.now(UTC) + margin


@pytest.mark.django_db
@pytest.mark.usefixtures("fresh_gauges", "reflex_layer")
def test_first_page_shows_staff_the_state(client: Client) -> None:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    gate()
    content = client.get("/admin/").content.decode()
    assert table(content) == [[str(os.getpid()), "closed", "none yet", "none"]]
    LAST_SEEN.labels("safe").set(datetime(2025, 11, 15, 12, 30, 5, tzinfo=UTC).timestamp())
    LAST_SEEN.labels("no_verdict").set(datetime(2025, 11, 16, tzinfo=UTC).timestamp())
    content = client.get("/admin/").content.decode()
    assert table(content) == [
        [str(os.getpid()), "closed", "safe, 2025-11-15 12:30:05", "2025-11-16 00:00:00"]
    ]


@pytest.mark.django_db
def test_first_page_is_for_staff_only(client: Client) -> None:
    assert client.get("/admin/")["Location"] == "/admin/login/?next=/admin/"


@pytest.mark.django_db
def test_first_page_says_that_the_integration_is_off(client: Client, settings: Any) -> None:
    settings.ENABLE_REFLEX_INTEGRATION = False
    client.force_login(User.objects.create_user("staff", is_staff=True))
    content = client.get("/admin/").content.decode()
    assert "The integration is switched off: nothing is screened." in content
    assert "tasks are accepted unscreened" in content
    assert table(content) == []


def table(content: str) -> list[list[str]]:
    """Return the rows of the table, each as a list of its cells."""
    block = content.partition('id="reflex-state"')[2].partition("</div>")[0]
    rows = re.findall(r"<tr>\s*<th scope=\"row\">.*?</tr>", block, re.S)
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


@pytest.fixture
def operator(service_database_url: str) -> dict[str, str]:
    """The name and password of a member of staff in the services' database."""
    account = {"username": "reflex-state", "password": "a-good-password"}
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", _MAKE_ACCOUNT.format(**account)],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": service_database_url},
        check=True,
    )
    return account


_MAKE_ACCOUNT = """
from django.contrib.auth.models import User
if not User.objects.filter(username="{username}").exists():
    User.objects.create_user("{username}", password="{password}", is_staff=True)
"""


def first_page(session: requests.Session, service: Service) -> list[list[str]]:
    # Each request uses a new connection, so that any worker may answer.
    page = session.get(f"{service.url}/admin/", headers={"Connection": "close"}, timeout=30)
    assert page.status_code == 200
    return table(page.text)


def test_every_worker_shows_all_live_workers(
    start_service: StartService, operator: dict[str, str], bundled_reflex_layer: str
) -> None:
    service = start_service(REFLEX_URL=bundled_reflex_layer, WORKERS=3)
    with requests.Session() as session:
        login = session.get(f"{service.url}/admin/login/", timeout=30)
        token = login.cookies["csrftoken"]
        session.post(
            f"{service.url}/admin/login/?next=/health",
            data=operator | {"csrfmiddlewaretoken": token},
            timeout=30,
        ).raise_for_status()

        give_up_at = time.monotonic() + SOON_SECONDS
        while len(first_page(session, service)) < 3 and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert service.submit().status_code == 200
        pids = sorted(worker.pid for worker in service.workers)
        pages = [first_page(session, service) for _ in range(12)]
        assert [row[:2] for row in pages[0]] == [[str(pid), "closed"] for pid in pids]
        seen = [row[2] for row in pages[0]]
        assert (
            sum(bool(re.fullmatch(r"safe, \d{4}-\d\d-\d\d [\d:]{8}", cell)) for cell in seen) == 1
        )
        assert seen.count("none yet") == 2
        assert pages == [pages[0]] * 12

        os.kill(pids[0], signal.SIGKILL)
        give_up_at = time.monotonic() + SOON_SECONDS
        while time.monotonic() < give_up_at:
            shown = [row[0] for row in first_page(session, service)]
            if str(pids[0]) not in shown and len(shown) == 3:
                break
            time.sleep(0.05)
        assert shown == [str(pid) for pid in sorted(worker.pid for worker in service.workers)]
