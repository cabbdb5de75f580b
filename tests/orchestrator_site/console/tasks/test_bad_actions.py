"""Invalid and malicious requests to the console's actions."""

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks.models import Action, Event
from tests.factories import TaskFactory
from tests.orchestrator_site.console.tasks.console_actions import (
    ACTIONS,
    TASKS,
    choose,
    chosen_page,
    confirm,
    console_of,
    content,
    said,
    statuses,
    work,
)
from tests.staff import staff

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def operator() -> User:
    return staff("view_task", "view_task_content", "operate_task", name="ada")


@pytest.fixture
def console(operator: User) -> Client:
    return console_of(operator)


@pytest.fixture
def viewer_console() -> Client:
    return console_of(staff("view_task", "view_task_content", name="viewer"))


@pytest.mark.parametrize("filters", ["//evil.example", "\r\nX: y", "x=1#", "\0", "p=x&p=y"])
def test_tampered_filter_at_worst_leads_to_the_list(filters: str, console: Client) -> None:
    page = chosen_page(console, TaskFactory(), TaskFactory())
    query = f"_changelist_filters={filters}"
    response = console.post(page, {"step": "confirm", "reason": "x"}, QUERY_STRING=query)
    assert response.status_code == 302
    assert response["Location"].startswith(ACTIONS)
    assert "\n" not in response["Location"]
    answer = content(console.get(page, QUERY_STRING=query))
    [back] = re.findall(r'href="([^"]*)">Back to the tasks', answer)
    assert back.startswith(TASKS)


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("", "This field is required."),
        (" \t\u3000", "This field is required."),
        ("x" * 501, "at most 500 characters"),
        ("a\0b", "Null characters are not allowed."),
    ],
)
def test_bad_reason_is_refused(reason: str, fault: str, console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    answer = content(confirm(console, page, reason))
    assert fault in answer
    assert "1 task will be cancelled." in answer
    assert statuses() == ["pending"]
    # The action can still be confirmed with a valid reason.
    assert confirm(console, page, "x" * 500).status_code == 302
    work()
    assert statuses() == ["cancelled"]


@pytest.mark.parametrize("reason", [SCRIPT, "\u202eשלום", "'; DROP TABLE tasks; --", "😀 {{ x }}"])
def test_reason_is_shown_as_text(reason: str, console: Client) -> None:
    page = chosen_page(console, TaskFactory(), TaskFactory())
    confirm(console, page, reason)
    work()
    assert Event.objects.first().reason == reason
    escaped = reason.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#x27;")
    for path in (page, ACTIONS):
        answer = content(console.get(path))
        assert f"<bdi>{escaped}</bdi>" in answer
        assert "<script>alert" not in answer


def test_reason_that_is_refused_is_escaped(console: Client) -> None:
    answer = content(confirm(console, chosen_page(console, TaskFactory()), SCRIPT * 50))
    assert "&lt;script&gt;alert(1)" in answer
    assert "<script>alert" not in answer


@pytest.mark.parametrize(
    "post",
    [
        {"action": "delete_selected"},
        {"action": "start"},
        {"action": "priority_urgent"},
        {"action": ""},
        {"action": "cancel\0"},
        {"action": ["cancel"], "index": "7", "select_across": "nonsense"},
    ],
)
def test_unknown_action_does_nothing(post: dict[str, Any], console: Client) -> None:
    task = TaskFactory()
    response = console.post(TASKS, {"_selected_action": str(task.pk), "index": "0"} | post)
    assert response.status_code == 302
    assert statuses() == ["pending"]
    assert not Event.objects.exists()


@pytest.mark.parametrize("ticked", ["42", "\0", "x" * 5_000, "' OR 1=1", SCRIPT])
def test_invalid_id_is_refused(ticked: str, console: Client) -> None:
    ids = [str(TaskFactory().pk), ticked]
    response = console.post(TASKS, {"action": "cancel", "_selected_action": ids, "index": "0"})
    assert response.status_code == 400
    assert not Action.objects.exists()


def test_unknown_id_is_reported(console: Client) -> None:
    response = console.post(TASKS, {"action": "cancel", "_selected_action": str(uuid.UUID(int=1))})
    assert said(response) == ["There are no such tasks."]
    assert not Action.objects.exists()


@pytest.mark.parametrize("across", ["true", "2", "on", "1 "])
def test_tampered_select_all_takes_at_most_the_ticked_tasks(across: str, console: Client) -> None:
    task, _ = TaskFactory.create_batch(2)
    choose(console, task, select_across=across)
    assert [action.chosen for action in Action.objects.all()] in ([], [1])


def test_action_without_ticked_tasks_changes_nothing(console: Client) -> None:
    TaskFactory()
    response = console.post(TASKS, {"action": "cancel", "index": "0", "select_across": "1"})
    assert response.status_code == 302
    assert not Action.objects.exists()


@pytest.mark.parametrize("step", [None, "", "begin", "continue", "confirm\0"])
def test_unknown_step_is_refused(step: str | None, console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    post = {"reason": "x"} | ({} if step is None else {"step": step})
    assert console.post(page, post).status_code == 400
    assert statuses() == ["pending"]


def test_action_cannot_be_stopped_before_it_is_confirmed(console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    # Fields that no browser sends are ignored.
    console.post(page, {"step": "stop", "position": "-5", "verb": "requeue", "actor": "eve"})
    assert statuses() == ["pending"]
    action = Action.objects.get()
    assert (action.verb, action.actor, action.position) == ("cancel", "ada", 0)
    assert not action.is_ended


@pytest.mark.parametrize("step", ["confirm", "stop"])
def test_viewing_an_action_changes_nothing(step: str, console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    for method in (console.get, console.head):
        assert method(page, {"step": step, "reason": "x"}).status_code == 200
    assert statuses() == ["pending"]


@pytest.mark.parametrize("action_id", ["42", "_00", "x" * 2_000, f"{uuid.UUID(int=1)}"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_action_leads_to_the_list(method: str, action_id: str, console: Client) -> None:
    response = getattr(console, method)(f"{ACTIONS}{action_id}/change/", {"step": "confirm"})
    assert (response.status_code, response["Location"]) == (302, ACTIONS)
    assert said(response) == [
        "There is no such action. Unconfirmed actions are deleted after a day."
    ]


def test_request_without_the_csrf_token_changes_nothing(operator: User, console: Client) -> None:
    task = TaskFactory()
    strict = console_of(operator, enforce_csrf_checks=True)
    assert choose(strict, task).status_code == 403
    assert not Action.objects.exists()
    page = chosen_page(console, task)
    for step in ("confirm", "stop"):
        assert strict.post(page, {"step": step, "reason": "x"}).status_code == 403
    work()
    assert statuses() == ["pending"]


def test_staff_who_may_not_operate_are_refused(console: Client, viewer_console: Client) -> None:
    task = TaskFactory()
    assert choose(viewer_console, task).status_code == 403
    assert not Action.objects.exists()
    page = chosen_page(console, task)
    for step in ("confirm", "stop"):
        assert viewer_console.post(page, {"step": step, "reason": "x"}).status_code == 403
    for path in (page, ACTIONS):
        assert viewer_console.get(path).status_code == 403
    assert statuses() == ["pending"]
    assert ACTIONS not in content(viewer_console.get("/admin/"))


def test_anonymous_are_sent_to_the_login(client: Client, console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    for path in (TASKS, ACTIONS, page):
        assert client.post(path, {"step": "confirm"})["Location"].startswith("/admin/login/")
    assert statuses() == ["pending"]


def test_only_the_actor_who_chose_the_tasks_may_confirm(console: Client) -> None:
    page = chosen_page(console, TaskFactory())
    other = console_of(staff("view_task", "operate_task", name="eve"))
    assert confirm(other, page)["Location"] == ACTIONS
    assert other.get(page)["Location"] == ACTIONS
    work()
    assert statuses() == ["pending"]
    assert not Action.objects.get().is_confirmed


def test_superuser_cannot_change_the_record(admin_client: Client) -> None:
    page = chosen_page(admin_client, TaskFactory())
    for path in (f"{ACTIONS}add/", page.replace("change", "delete")):
        assert admin_client.post(path, {"post": "yes"}).status_code == 403
    admin_client.post(
        ACTIONS, {"action": "delete_selected", "_selected_action": str(Action.objects.get().pk)}
    )
    assert Action.objects.exists()
