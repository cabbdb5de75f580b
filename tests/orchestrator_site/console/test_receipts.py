"""The console's pages of receipts."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from safety.models import Receipt
from tests.factories import ClientFactory, TaskFactory
from tests.staff import staff

pytestmark = pytest.mark.django_db

RECEIPTS = "/admin/safety/receipt/"
FINDING = {
    "kind": "injection",
    "type": "DataExfiltration",
    "severity": "high",
    "confidence": 0.8,
    "places": [
        {"field": "goal", "start": 0, "end": 3, "is_key": False},
        {"field": "context.user", "start": 4, "end": 9, "is_key": True},
    ],
}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def console(client: Client) -> Client:
    client.force_login(staff("view_receipt"))
    return client


def receipt(**fields: Any) -> Receipt:
    return Receipt.objects.create(**{"verdict": "blocked"} | fields)


def listed(client: Client, query: str = "") -> set[str]:
    """Return the ids of the receipts that the list shows."""
    response = client.get(RECEIPTS + query)
    assert response.status_code == 200
    return set(re.findall(rf'href="{RECEIPTS}([0-9a-f-]{{36}})/change/', response.content.decode()))


def page(client: Client, shown: Receipt) -> str:
    return client.get(f"{RECEIPTS}{shown.pk}/change/").content.decode()


def column(content: str, name: str) -> list[str]:
    return re.findall(rf'<t[dh] class="[^"]*field-{name}[^"]*">(.*?)</t[dh]>', content)


def test_anonymous_are_sent_to_the_login(client: Client) -> None:
    for path in (RECEIPTS, f"{RECEIPTS}{receipt().pk}/change/"):
        assert client.get(path)["Location"] == f"/admin/login/?next={path}"


def test_staff_without_the_permission_see_no_receipts(client: Client) -> None:
    client.force_login(staff("view_task", "dry_run"))
    assert client.get(RECEIPTS).status_code == 403
    assert client.get(f"{RECEIPTS}{receipt().pk}/change/").status_code == 403
    assert RECEIPTS not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("path", ["add/", "{receipt}/change/", "{receipt}/delete/"])
def test_superuser_cannot_change_receipts(path: str, admin_client: Client) -> None:
    kept = receipt()
    before = list(Receipt.objects.values())
    response = admin_client.post(
        RECEIPTS + path.format(receipt=kept.pk), {"verdict": "safe", "post": "yes"}
    )
    assert response.status_code == 403
    assert list(Receipt.objects.values()) == before


def test_superuser_cannot_delete_receipts_from_the_list(admin_client: Client) -> None:
    kept = receipt()
    admin_client.post(
        RECEIPTS, {"action": "delete_selected", "_selected_action": str(kept.pk), "post": "yes"}
    )
    assert Receipt.objects.filter(pk=kept.pk).exists()


def test_list_shows_the_columns_of_a_receipt(console: Client) -> None:
    receipt(
        verdict="none",
        reason="no answer in time",
        types=["Email", "SSN"],
        redacted_types=["Email"],
        duration_seconds=0.0125,
        client_address="192.0.2.7",
        request_id="request-1",
        created_at=datetime(2025, 11, 15, 12, 30, 5, tzinfo=UTC),
    )
    content = console.get(RECEIPTS).content.decode()
    shown = {
        name: column(content, name)
        for name in "verdict_and_why duration_ms task client_address request_id".split()
    }
    assert [strip_tags(verdict) for verdict in shown.pop("verdict_and_why")] == [
        "∅ no verdict: no answer in time"
    ]
    assert shown == {
        "duration_ms": ["12.5"],
        "task": ["-"],
        "client_address": ["192.0.2.7"],
        "request_id": ["request-1"],
    }
    assert "2025-11-15 12:30:05" in column(content, "time")[0]


def test_page_names_the_client_in_full(console: Client) -> None:
    client = ClientFactory(with_tokens=True, subject="W" * 255)
    assert f"{client}</div>" in page(console, receipt(client_id=client.pk))


def test_list_shows_the_newest_first(console: Client) -> None:
    for day, name in ((15, "the-older"), (16, "the-newer")):
        receipt(request_id=name, created_at=datetime(2025, 11, day, tzinfo=UTC))
    content = console.get(RECEIPTS).content.decode()
    assert column(content, "request_id") == ["the-newer", "the-older"]


def test_receipts_say_on_which_occasion_they_were_made(console: Client) -> None:
    submitted = receipt()
    answered = receipt(occasion="answer", subject_id=uuid4())
    shown = column(console.get(RECEIPTS).content.decode(), "occasion")
    assert sorted(shown) == ["Answer", "Submission"]
    assert listed(console, "?occasion__exact=answer") == {str(answered.pk)}
    assert listed(console, "?occasion__exact=submission") == {str(submitted.pk)}
    assert '<div class="readonly">Answer</div>' in page(console, answered)


def test_receipts_of_the_answers_of_a_task_are_one_link_away(console: Client) -> None:
    task_id = uuid4()
    of_submission = receipt(verdict="safe", subject_id=task_id)
    answers = {
        str(receipt(verdict=verdict, occasion="answer", subject_id=task_id).pk)
        for verdict in ("safe", "blocked")
    }
    receipt(occasion="answer", subject_id=uuid4())
    link = re.search(r'href="[^"?]*(\?occasion[^"]*)"', page(console, of_submission))
    assert link
    assert listed(console, unescape(link[1])) == answers


@pytest.mark.parametrize("verdict", ["safe", "blocked"])
def test_receipt_of_an_answer_has_a_link_to_its_task(verdict: str, client: Client) -> None:
    client.force_login(staff("view_receipt", "view_task", "view_task_content"))
    task = TaskFactory()
    answered = receipt(verdict=verdict, occasion="answer", subject_id=task.pk)
    assert f'href="/admin/tasks/task/{task.pk}/change/"' in page(client, answered)


def test_receipt_of_a_refused_submission_has_no_link_to_answers(console: Client) -> None:
    assert "subject_id__exact" not in page(console, receipt())


@pytest.mark.parametrize("verdict", ["safe", "flagged", "unscreened"])
def test_staff_who_may_view_tasks_get_a_link_to_the_task(verdict: str, client: Client) -> None:
    client.force_login(staff("view_receipt", "view_task", "view_task_content"))
    task = TaskFactory(goal="the task of it")
    accepted = receipt(verdict=verdict, subject_id=task.pk)
    link = f"/admin/tasks/task/{task.pk}/change/"
    assert f'href="{link}"' in client.get(RECEIPTS).content.decode()
    assert f'href="{link}"' in page(client, accepted)
    assert "the task of it" in client.get(link).content.decode()


def test_staff_who_may_not_view_tasks_get_no_link_to_the_task(console: Client) -> None:
    task = TaskFactory()
    accepted = receipt(verdict="safe", subject_id=task.pk)
    assert column(console.get(RECEIPTS).content.decode(), "task") == [f"{str(task.pk)[:8]}…"]
    content = console.get(RECEIPTS).content.decode() + page(console, accepted)
    assert "/admin/tasks/" not in content


@pytest.mark.parametrize(("verdict", "reason"), [("blocked", ""), ("none", "no answer in time")])
def test_receipt_of_a_refusal_has_no_task(verdict: str, reason: str, client: Client) -> None:
    client.force_login(staff("view_receipt", "view_task", "view_task_content"))
    refused = receipt(verdict=verdict, reason=reason)
    assert column(client.get(RECEIPTS).content.decode(), "task_link") == ["-"]
    assert f"/admin/tasks/task/{refused.pk}" not in page(client, refused)


@pytest.mark.parametrize(
    "query",
    [
        "?verdict__exact=flagged",
        "?type=Email",
        "?from=2025-11-15&to=2025-11-15",
        "?from=2025-11-15",
        "?to=2025-11-15&from=",
        # A time without an offset is UTC.
        "?created_at__gte=2025-11-15&created_at__lt=2025-11-16",
        "?created_at__gte=2025-11-16T00:59:59%2B01:00&created_at__lt=2025-11-16T00:00",
        "?q=request-1",
        "?verdict__exact=flagged&type=Email&from=2025-11-15&to=2025-11-15&q=request-1",
    ],
)
def test_filter_finds_matching_rows(query: str, console: Client) -> None:
    wanted = receipt(
        verdict="flagged",
        types=["DataExfiltration", "Email"],
        request_id="request-1",
        created_at=datetime(2025, 11, 15, 23, 59, 59, tzinfo=UTC),
    )
    # The other receipt is outside of the filter's range.
    day = 14 if "from=2025" in query or "created_at" in query else 16
    receipt(request_id="request-10", created_at=datetime(2025, 11, day, tzinfo=UTC))
    assert listed(console, query) == {str(wanted.pk)}


def test_day_filter_keeps_the_other_filters(console: Client) -> None:
    receipt(verdict="flagged")
    content = console.get(f"{RECEIPTS}?verdict__exact=flagged&from=2025-01-01&p=1")
    form = re.search(
        r'<form method="get" class="form-filter">.*?</form>', content.content.decode(), re.S
    )
    assert form
    assert '<input type="hidden" name="verdict__exact" value="flagged">' in form[0]
    assert 'name="from" value="2025-01-01"' in form[0]
    assert 'href="?verdict__exact=flagged' in form[0]
    assert 'type="hidden" name="from"' not in form[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "query",
    [
        "type=Nonsense",
        "type=%00",
        "from=yesterday",
        "from=2025-13-01",
        "to=%00",
        "verdict__exact=%00",
        "created_at__gte=yesterday",
        "created_at__lt=%00",
        "occasion__exact=%00",
        "subject_id__exact=nonsense",
        "subject_id__exact=%00",
    ],
)
def test_invalid_filter_is_ignored(query: str, console: Client) -> None:
    response = console.get(f"{RECEIPTS}?{query}")
    assert (response.status_code, response["Location"]) == (302, f"{RECEIPTS}?e=1")
    assert console.get(response["Location"]).status_code == 200


@pytest.mark.parametrize(
    "query", ["?q=%00", "?q=%FF", "?q=%25_\\", "?p=-5", "?o=999", "?all=1", "?_facets=True"]
)
def test_unusual_query_string_is_answered(query: str, console: Client) -> None:
    receipt()
    assert console.get(RECEIPTS + query).status_code == 200


def test_page_shows_everything_about_a_receipt(console: Client) -> None:
    content = page(
        console,
        receipt(
            verdict="flagged",
            findings=[FINDING],
            findings_count=101,
            types=["DataExfiltration"],
            redacted_types=["Email"],
            policy_version="1a2b3c4d5e6f",
            reflex_request_id="reflex-7",
            duration_seconds=0.0125,
            client_address="192.0.2.7",
            request_id="request-1",
            created_at=datetime(2025, 11, 15, 12, 30, 5, tzinfo=UTC),
        ),
    )
    assert (
        '<td>injection</td><td>DataExfiltration</td><td>high</td><td>0.8</td><td class="whole">'
        "goal, characters 1 to 3<br>key context.user, characters 5 to 9</td>"
    ) in content
    for shown in (
        "The first 1 of 101.",
        "Email",
        "1a2b3c4d5e6f",
        "reflex-7",
        "12.5",
        "192.0.2.7",
        "request-1",
        "2025-11-15 12:30:05",
    ):
        assert f">{shown}<" in content
    assert "flagged</span>: DataExfiltration in goal and 100 more; redacted: Email" in content
    assert "cache" not in content.lower().replace("cache-control", "")


def test_finding_without_place_severity_and_confidence_is_shown(console: Client) -> None:
    bare = {"kind": "pii", "type": "SSN", "severity": None, "confidence": None, "places": []}
    content = page(console, receipt(findings=[bare], findings_count=1))
    assert (
        '<tr><td>pii</td><td>SSN</td><td>-</td><td>-</td><td class="whole">-</td></tr>' in content
    )


def test_pages_escape_every_value(console: Client) -> None:
    place = {"field": SCRIPT, "start": 0, "end": 1, "is_key": False}
    attacked = receipt(
        verdict="none",
        reason=SCRIPT,
        findings=[
            {"kind": SCRIPT, "type": SCRIPT, "severity": SCRIPT, "confidence": SCRIPT}
            | {"places": [place, place | {"is_key": True}]}
        ],
        findings_count=1,
        types=[SCRIPT],
        redacted_types=[SCRIPT],
        policy_version=SCRIPT,
        reflex_request_id=SCRIPT,
        client_address=SCRIPT,
        request_id=SCRIPT,
    )
    escaped = SCRIPT.replace("<", "&lt;").replace(">", "&gt;")
    # The list shows three values of the receipt. Its page shows seven, and six of the finding.
    for content, times in (
        (console.get(RECEIPTS).content.decode(), 3),
        (page(console, attacked), 7 + 6),
    ):
        assert (content.count(escaped), content.count("<script>alert")) == (times, 0)


def test_a_query_string_is_escaped(console: Client) -> None:
    receipt()
    content = console.get(f"{RECEIPTS}?q=%22><script>alert(1)</script>").content.decode()
    assert "<script>alert" not in content


@pytest.mark.parametrize("permissions", [["view_receipt"], ["view_receipt", "view_task"]])
def test_list_takes_the_same_queries_for_many_receipts(
    permissions: list[str], client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(staff(*permissions))
    receipt(verdict="safe")
    # Session, user, permissions (2), clients of the filter, count, the page itself, the pause.
    with django_assert_num_queries(8):
        client.get(RECEIPTS)
    for verdict in ("safe", "flagged", "blocked", "unscreened") * 5:
        receipt(verdict=verdict, types=["Email"], findings=[FINDING], findings_count=1)
    with django_assert_num_queries(8):
        client.get(RECEIPTS)


@pytest.mark.parametrize("may", [True, False])
def test_pages_link_to_the_dry_run_for_staff_who_may_use_it(may: bool, client: Client) -> None:
    client.force_login(staff("view_receipt", *(["dry_run"] if may else [])))
    for content in (client.get(RECEIPTS).content.decode(), page(client, receipt())):
        assert ('href="/admin/dry-run"' in content) is may


def test_the_list_loads_only_the_findings_that_it_shows(console: Client) -> None:
    receipt(findings=[FINDING] * 50, findings_count=50)
    with CaptureQueriesContext(connection) as queries:
        listed_page = console.get(RECEIPTS).content.decode()
    of_findings = [one["sql"] for one in queries if '"findings"' in one["sql"]]
    assert len(of_findings) == 1
    # The page reads only the first ten findings, and the count reads none.
    whole = re.compile(r'(?<!jsonb_path_query_array\()"receipts"\."findings"')
    assert not whole.search(of_findings[0])
    assert "COUNT" not in of_findings[0]
    assert "DataExfiltration in goal and 40 more" in listed_page


def test_places_that_are_not_kept_are_counted(console: Client) -> None:
    place = {"field": "goal", "start": 0, "end": 3, "is_key": False}
    finding = {
        "kind": "pii",
        "type": "Email",
        "severity": None,
        "confidence": 0.9,
        "places": [place],
        "places_count": 4000,
    }
    content = page(console, receipt(findings=[finding], findings_count=1))
    assert "goal, characters 1 to 3<br>and 3999 more" in content


@pytest.mark.parametrize("query", ["reason__regex=(", "request_id__icontains=a", "no_such_field=1"])
def test_filter_that_is_not_offered_is_refused(query: str, console: Client) -> None:
    assert console.get(f"{RECEIPTS}?{query}").status_code == 400


@pytest.mark.parametrize("column", range(1, 10))
def test_list_is_sorted_only_by_time(column: int, console: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert console.get(RECEIPTS, {"o": str(column)}).status_code == 200
    by = 'ORDER BY "receipts"."created_at" '
    # The last one asks whether calls are paused.
    assert by in queries[-2]["sql"]


def test_page_has_no_link_to_the_unused_history(console: Client) -> None:
    assert "history" not in page(console, receipt())
