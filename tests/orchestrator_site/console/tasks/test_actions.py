"""The console's actions: how they are offered, previewed, confirmed and followed."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator_site.console.tasks.actions import MAX_TASKS_SHOWN
from tasks import bulk
from tasks.models import Action, Event, Task
from tasks.models import action as actions
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
from tests.tasks.actions import fail, start, waiting

pytestmark = pytest.mark.django_db

VERBS = [
    "cancel",
    "requeue",
    "release",
    "retry_now",
    "priority_low",
    "priority_medium",
    "priority_high",
    "priority_critical",
]


@pytest.fixture
def operator() -> User:
    return staff("view_task", "view_task_content", "operate_task", name="ada")


@pytest.fixture
def console(operator: User) -> Client:
    return console_of(operator)


@pytest.fixture
def viewer_console() -> Client:
    return console_of(staff("view_task", "view_task_content", name="viewer"))


def test_actions_are_offered_to_staff_who_may_operate(console: Client) -> None:
    TaskFactory()
    page = content(console.get(TASKS))
    offered = re.findall(r'<option value="(\w+)">', page)
    assert offered == VERBS
    assert 'name="_selected_action"' in page


def test_actions_are_not_offered_to_others(viewer_console: Client) -> None:
    task = TaskFactory()
    for path in (TASKS, f"{TASKS}{task.pk}/change/"):
        page = content(viewer_console.get(path))
        assert 'name="action"' not in page
        assert "_selected_action" not in page


@pytest.mark.parametrize(
    ("status", "priority", "offered"),
    [
        ("pending", "medium", ["cancel", "priority_low", "priority_high", "priority_critical"]),
        ("pending", "low", ["cancel", "priority_medium", "priority_high", "priority_critical"]),
        ("processing", "medium", ["cancel"]),
        ("failed", "medium", ["requeue"]),
        ("completed", "medium", []),
        ("cancelled", "medium", []),
    ],
)
def test_page_of_a_task_offers_the_possible_actions(
    status: str, priority: str, offered: list[str], console: Client
) -> None:
    task = TaskFactory(status=status, priority=priority)
    page = content(console.get(f"{TASKS}{task.pk}/change/"))
    assert re.findall(r'name="action" value="(\w+)"', page) == offered
    assert page.count(f'name="_selected_action" value="{task.pk}"') == (1 if offered else 0)


def test_button_of_a_task_leads_to_the_preview_and_back_to_the_task(console: Client) -> None:
    task = TaskFactory()
    # The same request as from the form on the page of the task.
    response = console.post(TASKS, {"action": "cancel", "_selected_action": str(task.pk)})
    assert "1 task will be cancelled." in content(console.get(response["Location"]))
    page = response["Location"]
    assert confirm(console, page)["Location"] == page
    work()
    answer = content(console.get(page))
    assert "1 task cancelled." in answer
    assert f'<a href="{TASKS}{task.pk}/change/">Back to the task</a>' in answer


def test_preview_shows_which_tasks_change_and_why_others_do_not(console: Client) -> None:
    chosen = [TaskFactory(), TaskFactory(completed=True), TaskFactory(cancelled=True)]
    page = content(console.get(chosen_page(console, *chosen)))
    assert "<h1>Cancel: 3 tasks</h1>" in page
    assert "1 task will be cancelled." in page
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th><td>(.*?)</td></tr>', page)
    assert rows == [("1 task", "Cancelled already"), ("1 task", "Completed, which is final")]


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_page_of_an_action_lists_its_tasks(is_confirmed: bool, console: Client) -> None:
    chosen = TaskFactory.create_batch(MAX_TASKS_SHOWN + 2)
    page = chosen_page(console, *chosen)
    if is_confirmed:
        confirm(console, page)
    answer = content(console.get(page))
    named = re.findall(rf'<a href="{TASKS}(.*?)/change/">', answer)
    assert len(named) == len({*named} & {str(task.pk) for task in chosen}) == MAX_TASKS_SHOWN
    assert f"The first {MAX_TASKS_SHOWN} of the chosen tasks" in answer


def test_page_of_an_action_lists_those_of_its_tasks_that_still_exist(console: Client) -> None:
    chosen = TaskFactory.create_batch(2)
    page = chosen_page(console, *chosen)
    Task.objects.filter(pk=chosen[0].pk).delete()
    answer = content(console.get(page))
    assert str(chosen[1].pk) in answer
    assert f"{TASKS}{chosen[0].pk}" not in answer


@pytest.mark.parametrize(
    ("codenames", "is_shown"),
    [(["operate_task"], False), (["operate_task", "view_task_content"], True)],
)
def test_goals_of_an_action_are_shown_to_staff_who_may_see_them(
    codenames: list[str], is_shown: bool
) -> None:
    console = console_of(staff("view_task", *codenames))
    page = chosen_page(console, TaskFactory(goal="hunter2"))
    assert ("hunter2" in content(console.get(page))) is is_shown


def test_preview_changes_nothing(console: Client) -> None:
    task = TaskFactory()
    console.get(chosen_page(console, task))
    assert statuses() == ["pending"]
    assert not Event.objects.exists()


def test_preview_of_nothing_to_do_has_no_form(console: Client) -> None:
    page = content(console.get(chosen_page(console, TaskFactory(completed=True))))
    assert "No tasks will be cancelled." in page
    assert 'name="reason"' not in page


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("cancel", ("pending", "medium"), ("cancelled", "medium")),
        ("cancel", ("processing", "medium"), ("cancelled", "medium")),
        ("requeue", ("failed", "medium"), ("pending", "medium")),
        ("priority_critical", ("pending", "medium"), ("pending", "critical")),
    ],
)
def test_confirmed_action_is_done_and_leaves_events(
    verb: str, before: tuple[str, str], after: tuple[str, str], console: Client
) -> None:
    task = TaskFactory(status=before[0], priority=before[1])
    confirm(console, chosen_page(console, task, verb=verb), "as the client wished")
    assert not Event.objects.exists()
    work()
    task.refresh_from_db()
    assert (task.status, task.priority) == after
    event = Event.objects.get()
    assert (event.task_id, event.actor, event.reason) == (task.pk, "ada", "as the client wished")


def test_confirmed_action_leads_back_to_the_filtered_list(console: Client) -> None:
    TaskFactory(priority="high")
    chosen = [TaskFactory(priority="high"), TaskFactory(priority="high", completed=True)]
    page = chosen_page(console, *chosen, query="?priority__exact=high&q=goal")
    assert f'href="{TASKS}?priority__exact=high&amp;q=goal"' in content(console.get(page))
    confirm(console, page)
    work()
    answer = content(console.get(page))
    assert f'href="{TASKS}?priority__exact=high&amp;q=goal">Back to the tasks</a>' in answer
    assert (
        "1 task cancelled; 1 task skipped: only pending or processing tasks can be cancelled."
    ) in answer
    assert statuses() == ["cancelled", "completed", "pending"]


def test_second_confirmation_does_nothing_twice(console: Client) -> None:
    task = TaskFactory(failed=True)
    page = chosen_page(console, task, verb="requeue")
    confirm(console, page)
    work()
    # The task fails again, and the second confirmation must not requeue it.
    start(task)
    fail(task)
    second = confirm(console, page, "another reason")
    work()
    assert said(second)[-1] == "This action was already confirmed. Nothing was done twice."
    assert second["Location"] == page
    assert statuses() == ["failed"]
    assert list(Event.objects.exclude(actor="").values_list("reason", flat=True)) == [
        "the client asked for it"
    ]


def test_task_that_changed_after_the_preview_is_skipped(console: Client) -> None:
    chosen = [TaskFactory(), TaskFactory()]
    page = chosen_page(console, *chosen)
    console.get(page)
    chosen[0].cancel(actor="eve", reason="was faster")
    confirm(console, page)
    work()
    assert set(Event.objects.values_list("task", "actor")) == {
        (chosen[0].pk, "eve"),
        (chosen[1].pk, "ada"),
    }


def test_task_that_left_the_filter_is_still_chosen(console: Client) -> None:
    chosen = [TaskFactory(), TaskFactory()]
    start(chosen[0])
    fail(chosen[0])
    page = content(console.get(chosen_page(console, *chosen, query="?status__exact=pending")))
    assert "<h1>Cancel: 2 tasks</h1>" in page
    assert "Failed; only pending or processing tasks can be cancelled" in page


@pytest.mark.parametrize(
    ("query", "changed"),
    [("?status__exact=pending", 3), ("?q=wanted", 2), ("?priority__exact=low&q=wanted", 1)],
)
def test_all_rows_of_a_filter_are_chosen(query: str, changed: int, console: Client) -> None:
    first = TaskFactory(goal="the wanted one", priority="low")
    TaskFactory(goal="the wanted one")
    TaskFactory(goal="another")
    TaskFactory(goal="another", completed=True)
    page = chosen_page(console, first, query=query, select_across="1")
    assert Action.objects.get().chosen == changed
    confirm(console, page)
    work()
    assert Event.objects.count() == changed


def test_rows_that_match_the_filter_later_are_not_changed(console: Client) -> None:
    page = chosen_page(console, TaskFactory(), query="?status__exact=pending", select_across="1")
    late = TaskFactory()
    confirm(console, page)
    work()
    late.refresh_from_db()
    assert late.status == "pending"


def test_too_many_rows_are_refused(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_CHOSEN", 2)
    tasks = TaskFactory.create_batch(3)
    response = choose(console, tasks[0], query="?status__exact=pending", select_across="1")
    assert response["Location"] == f"{TASKS}?status__exact=pending"
    assert said(response) == [
        "More than 2 tasks are chosen, and nothing was done. Narrow the filter, to a day for "
        "instance."
    ]
    assert not Action.objects.exists()
    tasks[0].cancel()
    assert chosen_page(console, tasks[1], query="?status__exact=pending", select_across="1")


@pytest.mark.parametrize("verb", ["release", "retry_now"])
def test_waiting_tasks_go_on(verb: str, console: Client) -> None:
    wait = {"wake_at": datetime.now(UTC)} if verb == "retry_now" else {"waits_for": "release"}
    step = waiting(**wait)
    page = content(console.get(f"{TASKS}{step.task_id}/change/"))
    assert f'name="action" value="{verb}"' in page
    confirm(console, chosen_page(console, step.task, verb=verb))
    work()
    step.refresh_from_db()
    assert (step.waits_for, step.wake_at) == (None, None)


def test_list_shows_verb_actor_and_reason(console: Client, operator: User) -> None:
    TaskFactory()
    page = chosen_page(console, TaskFactory(), TaskFactory(failed=True))
    assert "0 actions" in content(console.get(ACTIONS))
    confirm(console, page, "a reason")
    work()
    Action.objects.update(confirmed_at=datetime(2025, 11, 15, 12, tzinfo=UTC))
    answer = content(console.get(ACTIONS))
    cells = re.findall(r'class="field-(\w+)[^"]*">(?:<a [^>]*>)?(.*?)</', answer)
    assert cells == [
        ("time", "2025-11-15 12:00:00"),
        ("verb", "Cancel"),
        ("actor", "ada"),
        ("reason_as_text", "<bdi>a reason"),
        ("chosen", "2"),
        ("changed", "1"),
        ("state", "done"),
    ]


@pytest.mark.parametrize("count", [1, 30])
def test_pages_of_an_action_take_the_same_queries_for_many_tasks(
    count: int, console: Client, django_assert_num_queries: Any
) -> None:
    tasks = TaskFactory.create_batch(count + 1)
    # Session, user, permissions (2), clients of the filter (twice), count of the list, ids,
    # abandoned actions, new action.
    with django_assert_num_queries(10):
        response = choose(console, *tasks)
    # Session, user, permissions (2), action, ids of the listed tasks, listed tasks, preview, pause.
    with django_assert_num_queries(9):
        console.get(response["Location"])


def test_long_list_offers_all_its_rows(console: Client) -> None:
    Task.objects.bulk_create(Task(goal="x") for _ in range(101))
    answer = content(console.get(TASKS))
    assert "Select all 101 tasks" in answer
    # The script of the list takes its texts from here.
    assert "/admin/jsi18n/" in answer


def test_verbs_are_those_of_the_list() -> None:
    assert list(actions.VERBS) == VERBS
