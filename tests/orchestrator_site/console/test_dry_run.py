"""The console's page *Dry run*."""

import html
import logging
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from prometheus_client import REGISTRY

from orchestrator_site.console.dry_run import Segment, marked
from safety.document import Place
from safety.findings import Finding, Kind
from safety.gate import gate
from safety.policy import PiiAction
from tests.reflex_layer import ScriptedReflexLayer, answer, in_turn, injection, pii, resets, says
from tests.staff import staff
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

PAGE = "/admin/dry-run"
SECRET = "zanzibar-7731"


@pytest.fixture
def console(client: Client, reflex_layer: ScriptedReflexLayer) -> Client:
    client.force_login(staff("dry_run"))
    return client


def tried(client: Client, text: str) -> str:
    response = client.post(PAGE, {"text": text})
    assert response.status_code == 200
    return response.content.decode()


def shown(content: str, block: str) -> str:
    """Return the content of the block with that id."""
    found = re.search(rf'<div class="screened-text" id="{block}">(.*?)</div>', content, re.S)
    assert found
    return found[1]


def cells(content: str) -> dict[str, str]:
    """Return the rows of the outcome's table."""
    return dict(re.findall(r'<tr><th scope="row">([^<]*)</th><td>([^<]*)</td></tr>', content))


def test_anonymous_are_sent_to_the_login(client: Client, reflex_layer: ScriptedReflexLayer) -> None:
    for response in (client.get(PAGE), client.post(PAGE, {"text": SECRET})):
        assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={PAGE}")
    assert reflex_layer.requests == []


def test_users_who_are_not_staff_are_sent_to_the_login(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    user = User.objects.create_user("customer")
    user.user_permissions.add(Permission.objects.get(codename="dry_run"))
    client.force_login(user)
    assert client.post(PAGE, {"text": SECRET}).status_code == 302
    assert reflex_layer.requests == []


def test_staff_without_the_permission_are_refused(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    client.force_login(staff("view_receipt", "view_task"))
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"text": SECRET}).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()
    assert reflex_layer.requests == []


def test_first_page_links_to_the_form_for_staff_who_may_use_it(console: Client) -> None:
    assert f'href="{PAGE}"' in console.get("/admin/").content.decode()
    content = console.get(PAGE).content.decode()
    assert '<label for="id_text">Text:</label>' in content
    assert 'id="outcome"' not in content


def test_a_post_without_the_token_is_refused(reflex_layer: ScriptedReflexLayer) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff("dry_run"))
    assert client.post(PAGE, {"text": SECRET}).status_code == 403
    token = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(PAGE).content.decode()
    )
    assert token
    sent = {"text": SECRET, "csrfmiddlewaretoken": token[1]}
    assert client.post(PAGE, sent).status_code == 200
    assert len(reflex_layer.requests) == 1


def test_a_text_in_the_url_is_not_screened(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    assert SECRET not in console.get(f"{PAGE}?text={SECRET}").content.decode()
    assert console.put(PAGE, {"text": SECRET}).status_code == 405
    assert reflex_layer.requests == []


def test_safe_text(console: Client, reflex_layer: ScriptedReflexLayer) -> None:
    content = tried(console, "all is well")
    assert "Verdict: safe" in content
    assert "Findings: 0" in content
    assert shown(content, "marked") == "all is well"
    assert 'id="redacted"' not in content
    assert reflex_layer.texts == ["all is well\n"]


def test_blocked_text_shows_why_and_where(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(
        answer(
            pii_detected=True,
            pii_matches=pii(start=6, end=9)["pii_matches"],
            injection_detected=True,
            injection_matches=injection(start=11, end=16)["injection_matches"],
        )
    )
    content = tried(console, "to <ü@b> & then")
    assert "Verdict: blocked" in content
    outcome = cells(content)
    assert re.fullmatch(r"\d+\.\d ms", outcome.pop("Duration"))
    assert outcome == {
        "Blocked because of": "injection, pii",
        "Redacted": "-",
        "Policy version": gate().policy_version,
    }
    assert "<td>pii</td><td>Email</td><td>-</td><td>0.9</td><td>6 to 8</td>" in content
    assert (
        "<td>injection</td><td>DataExfiltration</td><td>high</td><td>0.8</td><td>11 to 15</td>"
        in content
    )
    assert shown(content, "marked") == (
        'to &lt;ü<mark title="Email">@b&gt;</mark> &amp;<mark title="DataExfiltration"> then</mark>'
    )


def test_flagged_text(console: Client, reflex_layer: ScriptedReflexLayer) -> None:
    reflex_layer.behaviour = says(injection("Medium"))
    content = tried(console, "abc")
    assert "Verdict: flagged" in content
    assert cells(content)["Blocked because of"] == "-"


def test_text_blocked_by_the_reflex_layer_alone(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(answer(status="blocked"))
    content = tried(console, "abc")
    assert cells(content)["Blocked because of"] == "the Reflex Layer blocks it without a finding"


def test_redacted_text_is_shown_as_it_would_be_stored(
    console: Client, reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.PII_ACTION = PiiAction.REDACT
    gate.cache_clear()
    reflex_layer.behaviour = in_turn(says(pii(start=3, end=6)), says(answer()))
    content = tried(console, "to a@b, <b>")
    assert cells(content)["Redacted"] == "Email"
    assert shown(content, "redacted") == "to [EMAIL], &lt;b&gt;"


@pytest.mark.parametrize(
    ("sent", "shown_as"),
    [
        (answer(pii_matches=[{}] * 10_001), "too many findings"),
        # The finding quotes text that is not at its place in the redacted text.
        (pii(start=0, end=3, matched_text="a@b"), "pii"),
    ],
    ids=["too-many", "quoted-elsewhere"],
)
def test_refusal_says_its_reason(
    console: Client,
    reflex_layer: ScriptedReflexLayer,
    settings: Any,
    sent: dict[str, Any],
    shown_as: str,
) -> None:
    settings.PII_ACTION = PiiAction.REDACT
    gate.cache_clear()
    reflex_layer.behaviour = says(sent)
    assert cells(tried(console, "a@b, here"))["Blocked because of"] == shown_as


def test_finding_outside_of_the_text_is_listed_but_not_marked(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(pii(start=50, end=60))
    content = tried(console, "abc")
    assert "<td>not in the text</td>" in content
    assert shown(content, "marked") == "abc"


def test_thousands_of_findings_are_marked_but_only_the_first_are_listed(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    match = pii()["pii_matches"][0]
    matches = [match | {"start": at, "end": at + 1} for at in range(0, 4000, 2)]
    reflex_layer.behaviour = says(answer(pii_detected=True, pii_matches=matches))
    content = tried(console, "ab" * 2000)
    assert "Findings: 2000" in content
    assert content.count("<td>Email</td>") == 100
    assert "Only the first 100 are listed; the marks below show all." in content
    assert shown(content, "marked") == '<mark title="Email">a</mark>b' * 2000


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], [("abcdef", "")]),
        ([("SSN", 0, 6)], [("abcdef", "SSN")]),
        ([("SSN", 1, 3)], [("a", ""), ("bc", "SSN"), ("def", "")]),
        # Overlapping findings, one finding inside another, and equal findings.
        (
            [("SSN", 1, 4), ("Email", 3, 6)],
            [("a", ""), ("bc", "SSN"), ("d", "Email, SSN"), ("ef", "Email")],
        ),
        (
            [("SSN", 0, 6), ("Email", 2, 3)],
            [("ab", "SSN"), ("c", "Email, SSN"), ("def", "SSN")],
        ),
        ([("SSN", 0, 2), ("SSN", 0, 2)], [("ab", "SSN"), ("cdef", "")]),
        ([("SSN", 0, 4), ("SSN", 2, 6)], [("ab", "SSN"), ("cd", "SSN"), ("ef", "SSN")]),
        # Adjacent findings.
        ([("SSN", 0, 3), ("Email", 3, 6)], [("abc", "SSN"), ("def", "Email")]),
    ],
)
def test_text_is_cut_where_findings_begin_and_end(
    places: list[tuple[str, int, int]], expected: list[tuple[str, str]]
) -> None:
    findings = [
        Finding(Kind.PII, name, places=(Place(0, start, end),)) for name, start, end in places
    ]
    assert list(marked("abcdef", findings)) == [Segment(*part) for part in expected]


def test_form_keeps_the_text_and_pages_escape_it(console: Client) -> None:
    text = '</textarea><script>alert(1)</script> "quoted"'
    content = tried(console, text)
    assert "<script>alert" not in content
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", content, re.S)
    assert area
    assert html.unescape(area[1]) == html.unescape(shown(content, "marked")) == text


def test_line_ends_are_screened_as_a_client_would_send_them(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    tried(console, " one\r\ntwo\n ")
    assert reflex_layer.texts == [" one\ntwo\n \n"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This field is required."),
        ("a\x00b", "Null characters are not allowed."),
        # Two bytes for each character, and one for the line end.
        (
            "ü" * 50_000,
            "The Reflex Layer screens at most 100000 bytes of UTF-8. With a line end, this "
            "text has 100001.",
        ),
    ],
)
def test_text_that_cannot_be_screened_is_refused_with_a_clear_message(
    text: str, message: str, console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    content = tried(console, text)
    assert f"<li>{message}</li>" in content
    assert "Verdict" not in content
    assert reflex_layer.requests == []


def test_the_longest_text_is_screened(console: Client, reflex_layer: ScriptedReflexLayer) -> None:
    assert "Verdict: safe" in tried(console, "ü" * 49_999 + "x")
    assert len(reflex_layer.texts[0].encode()) == 100_000


def test_without_a_verdict_the_page_says_why_and_when_to_try_again(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(b"slow down", status="429 Busy", headers="Retry-After: 17\r\n")
    content = tried(console, SECRET)
    assert re.search(r"No verdict: [a-z ]+\. Try again in 17 s\.", content)
    assert 'id="outcome"' not in content
    assert SECRET in content


def test_page_reports_an_open_circuit(console: Client, reflex_layer: ScriptedReflexLayer) -> None:
    reflex_layer.behaviour = resets
    for _ in range(5):
        tried(console, SECRET)
    circuit = "octollm_orchestrator_circuit_state"
    wait_until(lambda: REGISTRY.get_sample_value(circuit, {"state": "open"}))
    before = len(reflex_layer.texts)
    assert "No verdict: circuit open. Try again in 1 s." in tried(console, SECRET)
    assert len(reflex_layer.texts) == before


def test_with_the_integration_off_the_page_says_so(
    console: Client, reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.ENABLE_REFLEX_INTEGRATION = False
    gate.cache_clear()
    unscreened = "octollm_orchestrator_unscreened_submissions_total"
    before = REGISTRY.get_sample_value(unscreened)
    for content in (console.get(PAGE).content.decode(), tried(console, SECRET)):
        assert "so no text can be screened" in content
        assert "<textarea" not in content
        assert "Verdict" not in content
    # A dry run does not count as a submission.
    assert REGISTRY.get_sample_value(unscreened) == before
    assert reflex_layer.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [says(answer()), says(pii()), says(injection("Low")), says(SECRET.encode()), resets],
    ids=["safe", "blocked", "flagged", "quoting", "failing"],
)
def test_text_is_not_stored_anywhere(
    behaviour: Any,
    console: Client,
    reflex_layer: ScriptedReflexLayer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reflex_layer.behaviour = behaviour
    # After the login, which writes the session and the time of the login.
    before = rows()
    response = console.post(PAGE, {"text": SECRET})
    assert SECRET in response.content.decode()
    assert rows() == before
    assert SECRET not in str([session.get_decoded() for session in Session.objects.all()])
    assert SECRET not in str([record.__dict__ for record in caplog.records])
    assert SECRET not in str([*response.headers.items(), *response.cookies.items()])
    assert SECRET not in console.get(PAGE).content.decode()
    assert SECRET not in console.get("/metrics").content.decode()


def rows() -> dict[str, list[Any]]:
    """Return all rows of the database by model."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
    }


@pytest.mark.parametrize("method", ["get", "post"])
def test_browsers_and_proxies_store_nothing(method: str, console: Client) -> None:
    response = getattr(console, method)(PAGE, {"text": SECRET} if method == "post" else None)
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


def test_page_has_no_inline_style_or_script(
    console: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(pii())
    content = tried(console, "abc")
    assert '<mark title="Email">' in content
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", content)
