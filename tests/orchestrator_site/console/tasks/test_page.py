"""The console's page of one task."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.console.tasks import page as task_page
from safety.models import Receipt
from tasks import timeline
from tasks.models import Task
from tasks.states import Priority
from tests.factories import TaskFactory, TaskResultFactory
from tests.staff import staff
from tests.tasks.actions import fail, start

pytestmark = pytest.mark.django_db

CONTENT = ("view_task", "view_task_content")
ALL = (*CONTENT, "view_receipt")
SCRIPT = "</div><script>alert(1)</script>"
ESCAPED = "&lt;/div&gt;&lt;script&gt;alert(1)&lt;/script&gt;"

Show = Callable[..., str]


def url(task: Task) -> str:
    return f"/admin/tasks/task/{task.pk}/change/"


@pytest.fixture
def show(client: Client) -> Show:
    """Show a task to staff with these permissions, by default with all that concern tasks."""

    def show(task: Task, *codenames: str) -> str:
        client.force_login(staff(*(codenames or ALL)))
        response = client.get(url(task))
        assert response.status_code == 200
        return response.content.decode()

    return show


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def text_of(page: str) -> str:
    """Return the text of the page below its header, on one line."""
    return words(page[page.index('<div id="content-main">') :])


def receipt_of(task: Task, **fields: Any) -> Receipt:
    return Receipt.objects.create(subject_id=task.pk, **{"verdict": task.verdict} | fields)


def timeline_rows(html: str) -> list[list[str]]:
    [body] = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    return [
        [words(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in body.split("<tr>")[1:]
    ]


def test_page_shows_everything_about_a_task_and_its_results(show: Show) -> None:
    task = TaskFactory(
        completed=True,
        priority="critical",
        goal="the whole goal " * 20,
        constraints=["its constraint"],
        acceptance_criteria=["its criterion"],
        context={"its": "context"},
        task_metadata={"its": "metadata"},
        assigned_arm="planner",
        max_tokens=4711,
    )
    TaskResultFactory(task=task, result_data={"first": "result"}, confidence=0.125)
    TaskResultFactory(task=task, result_data={"second": "result"})
    shown = text_of(show(task))
    for part in (
        str(task.pk),
        "✓ Completed ▲ Critical ? Unscreened",
        ("the whole goal " * 20).strip(),
        "Constraints its constraint",
        "Acceptance criteria ? Not checked its criterion",
        'Context { "its": "context" }',
        'Metadata { "its": "metadata" }',
        "Arm planner",
        "1.0000 USD, 600 s, 4711 tokens",
        "confidence 0.125 {",
        '"first": "result"',
        '"second": "result"',
    ):
        assert part in shown


def test_empty_parts_say_so(show: Show) -> None:
    shown = text_of(show(TaskFactory(context={"a": 1}, task_metadata={"a": 1})))
    for part in (
        "Results None yet.",
        "Constraints None.",
        "Acceptance criteria None.",
        "Arm none yet",
        "Metadata The same as the context.",
    ):
        assert part in shown


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_no_more_results_are_to_come_of_an_ended_task(status: str, show: Show) -> None:
    assert "Results None. Details" in text_of(show(TaskFactory(**{status: True})))


def test_results_follow_the_goal_and_the_criteria(show: Show) -> None:
    task = TaskFactory(completed=True, acceptance_criteria=["its criterion"])
    TaskResultFactory(task=task)
    heads = re.findall(r"<h2>(.*?)</h2>", show(task))
    top = ["Goal", "Acceptance criteria", "Results", "Details", "Runs", "Timeline"]
    assert heads == [*top, "Constraints", "Context", "Metadata"]


def test_results_are_shown_newest_first(show: Show) -> None:
    task = TaskFactory(completed=True)
    now = datetime.now(UTC)
    for hours, name in ((2, "the older one"), (1, "the newer one")):
        TaskResultFactory(task=task, result_data=name, created_at=now - timedelta(hours=hours))
    content = show(task)
    assert 0 < content.index("the newer one") < content.index("the older one")


def test_only_the_newest_results_are_shown(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_page, "MAX_RESULTS", 2)
    task = TaskFactory()
    now = datetime.now(UTC)
    for hours in range(2):
        TaskResultFactory(
            task=task, result_data=f"{hours} hours old", created_at=now - timedelta(hours=hours)
        )
    assert "Older results are not shown." not in show(task)
    TaskResultFactory(task=task, result_data="the oldest", created_at=now - timedelta(days=1))
    content = show(task)
    assert "Older results are not shown." in content
    assert "the oldest" not in content
    assert "1 hours old" in content


def test_timeline_tells_what_happened_when_and_by_whom(show: Show) -> None:
    task = TaskFactory(verdict="flagged")
    receipt_of(task, types=["DataExfiltration", "Url"])
    task.change_priority(Priority.CRITICAL, actor="ada", reason="a customer waits")
    start(task)
    fail(task, reason="executor: no answer in 30 s")
    task.requeue(actor="bob", reason="the arm is back")
    events = list(task.events.all())
    rows = timeline_rows(show(task))
    assert [row[1:] for row in rows] == [
        ["Submitted", "client", ""],
        ["Screened ⚑ Flagged DataExfiltration, Url", "gate", ""],
        ["Priority ◇ Medium → ▲ Critical", "ada", "a customer waits"],
        ["○ Pending → ◐ Processing", "service", ""],
        ["◐ Processing → ✕ Failed", "service", "executor: no answer in 30 s"],
        ["✕ Failed → ○ Pending", "bob", "the arm is back"],
    ]
    assert rows[0][0] == f"{task.created_at:%Y-%m-%d %H:%M:%S}"
    assert rows[-1][0] == f"{events[-1].created_at:%Y-%m-%d %H:%M:%S}"


def test_page_of_a_failed_task_starts_with_the_reason(show: Show) -> None:
    task = TaskFactory()
    start(task)
    fail(task, reason="executor: no answer in 30 s")
    why = "Unscreened Why it failed: executor: no answer in 30 s Goal"
    assert why in text_of(show(task))
    task.requeue(actor="bob")
    assert "Why it failed" not in show(task)


def test_page_leads_back_to_the_list_with_its_filters(client: Client) -> None:
    client.force_login(staff(*ALL))
    filters = "_changelist_filters=status__exact%3Dfailed"
    content = client.get(f"{url(TaskFactory())}?{filters}").content.decode()
    assert 'href="/admin/tasks/task/?status__exact=failed"' in content


def test_only_the_newest_events_are_shown(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_EVENTS", 2)
    task = TaskFactory()
    for priority in (Priority.LOW, Priority.HIGH, Priority.CRITICAL):
        task.change_priority(priority)
    assert [row[1] for row in timeline_rows(show(task))] == [
        "Submitted",
        "Priority ▽ Low → △ High",
        "Priority △ High → ▲ Critical",
    ]


def test_content_is_hidden_from_staff_without_the_permission(show: Show) -> None:
    task = TaskFactory(
        goal="SECRET",
        context={"SECRET": 1},
        task_metadata={"more": "SECRET"},
        constraints=["SECRET"],
        acceptance_criteria=["SECRET"],
    )
    TaskResultFactory(task=task, result_data="SECRET")
    start(task)
    # The service's reason may quote the content of the task.
    fail(task, reason="SECRET")
    task.requeue(actor="bob", reason="by hand")
    shown = text_of(show(task, "view_task", "view_receipt"))
    assert "SECRET" not in shown
    assert "not shown: your role does not include them" in shown
    assert "✕ Failed → ○ Pending bob by hand" in shown


def test_staff_who_may_view_receipts_see_that_of_a_task(show: Show) -> None:
    task = TaskFactory(verdict="flagged")
    receipt = receipt_of(
        task,
        types=["DataExfiltration", "Email"],
        redacted_types=["Email"],
        request_id="request-4711",
    )
    content = show(task)
    assert (
        "Receipt Flagged; found: DataExfiltration, Email; redacted: Email. See the receipt "
        "Request id request-4711"
    ) in text_of(content)
    assert f'href="/admin/safety/receipt/{receipt.pk}/change/"' in content


def test_receipt_without_findings_says_so(show: Show) -> None:
    task = TaskFactory(verdict="safe")
    receipt_of(task)
    assert "Safe; nothing found. See the receipt" in text_of(show(task))


def test_task_that_did_not_come_through_the_gate_has_no_receipt(show: Show) -> None:
    shown = text_of(show(TaskFactory()))
    assert "none: the task did not come through the gate" in shown
    assert "See the receipt" not in shown


def test_receipt_is_hidden_from_staff_without_the_permission(show: Show) -> None:
    task = TaskFactory(verdict="flagged")
    receipt_of(task, types=["DataExfiltration"], request_id="request-4711")
    content = show(task, *CONTENT)
    assert "DataExfiltration" not in content
    assert "request-4711" not in content
    assert "receipt" not in content.lower()


def test_every_value_is_escaped(show: Show) -> None:
    result = TaskResultFactory(
        task__goal=SCRIPT,
        task__constraints=[SCRIPT, {SCRIPT: 1}],
        task__acceptance_criteria={SCRIPT: SCRIPT},
        task__context={SCRIPT: [SCRIPT]},
        task__task_metadata=SCRIPT,
        task__assigned_arm=SCRIPT,
        result_data={SCRIPT: SCRIPT},
    )
    task = result.task
    receipt_of(task, types=[SCRIPT], redacted_types=[SCRIPT], request_id=SCRIPT)
    Task.objects.filter(pk=task.pk).update(status="pending")
    task.cancel(actor=SCRIPT, reason=SCRIPT)
    content = show(task)
    # Goal, arm, receipt (3), timeline (3), result (2), lists (4), context (2), metadata.
    assert content.count(ESCAPED) == 17
    assert "<script>alert" not in content


# SQL can store what the API refuses.
@pytest.mark.parametrize("value", [None, 1, "text", {"key": 1}, [None, 1, [2]]])
def test_values_that_the_api_would_refuse_are_shown(value: Any, show: Show) -> None:
    task = TaskFactory()
    for field in ("constraints", "acceptance_criteria", "context", "task_metadata"):
        setattr(task, field, value if value is not None else [None])
    task.save()
    show(task)


@pytest.mark.parametrize("count", [1, 20])
def test_page_takes_the_same_queries_for_many_results(
    count: int, client: Client, django_assert_num_queries: Any
) -> None:
    task = TaskFactory(completed=True)
    receipt_of(task)
    TaskResultFactory.create_batch(count, task=task)
    client.force_login(staff(*ALL))
    # Session, user, permissions (2), task, receipt, events, runs, results and the pause.
    with django_assert_num_queries(10):
        client.get(url(task))


def test_post_changes_nothing(admin_client: Client) -> None:
    task = TaskFactory()
    assert admin_client.post(url(task), {"status": "cancelled"}).status_code == 403
    task.refresh_from_db()
    assert task.status == "pending"
