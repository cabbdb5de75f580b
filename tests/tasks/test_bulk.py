"""Bulk actions: the preview, the steps and the report."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from tasks import bulk
from tasks.bulk import (
    Sight,
    choose,
    obstacle,
    preview,
    promise,
    report,
    take_step,
)
from tasks.models import Event, Task
from tasks.models.action import CANCEL, REQUEUE, VERBS
from tasks.states import Priority, Status
from tests.factories import TaskFactory
from tests.tasks.actions import (
    call_and_disconnect,
    confirmed,
    fail,
    proceed,
    progress,
    start,
    tasks,
)

pytestmark = pytest.mark.django_db

# The reason why a verb skips a task of medium priority; empty if the verb changes the task.
OBSTACLES = {
    "cancel": {
        "pending": "",
        "processing": "",
        "completed": "Completed, which is final",
        "failed": "Failed; only pending or processing tasks can be cancelled",
        "cancelled": "Cancelled already",
    },
    "requeue": {
        "pending": "Pending already",
        "processing": "Processing; only failed tasks can be requeued",
        "completed": "Completed, which is final",
        "failed": "",
        "cancelled": "Cancelled, which is final",
    },
    "release": {
        "pending": "Pending; only tasks that wait for their release can be released",
        "processing": "Processing; only tasks that wait for their release can be released",
        "completed": "Completed, which is final",
        "failed": "Failed; only tasks that wait for their release can be released",
        "cancelled": "Cancelled, which is final",
    },
    "priority_medium": {
        "pending": "Medium priority already",
        "processing": (
            "Processing; only pending tasks of another priority can be given medium priority"
        ),
        "completed": "Completed, which is final",
        "failed": "Failed; only pending tasks of another priority can be given medium priority",
        "cancelled": "Cancelled, which is final",
    },
    "priority_high": {
        "pending": "",
        "processing": (
            "Processing; only pending tasks of another priority can be given high priority"
        ),
        "completed": "Completed, which is final",
        "failed": "Failed; only pending tasks of another priority can be given high priority",
        "cancelled": "Cancelled, which is final",
    },
}
# Status and priority after the verb.
AFTERWARDS = {
    "cancel": ("cancelled", "medium"),
    "requeue": ("pending", "medium"),
    "priority_high": ("pending", "high"),
}
EVENTS = {"cancel": "status", "requeue": "status", "priority_high": "priority"}
CASES = [
    (verb, status, why) for verb, statuses in OBSTACLES.items() for status, why in statuses.items()
]


def statuses(task_ids: list[uuid.UUID]) -> list[str]:
    found = {task.pk: task.status for task in Task.objects.filter(pk__in=task_ids)}
    return [found[task_id] for task_id in task_ids]


@pytest.mark.parametrize(("verb", "status", "why"), CASES)
def test_obstacle_is_the_reason_to_skip_a_task(verb: str, status: str, why: str) -> None:
    assert obstacle(VERBS[verb], Sight(Status(status), Priority.MEDIUM)) == why


@pytest.mark.parametrize(("verb", "status", "why"), CASES)
def test_action_changes_tasks_without_an_obstacle(verb: str, status: str, why: str) -> None:
    task = TaskFactory(status=status)
    action = confirmed([task.pk], VERBS[verb])
    proceed(action)
    task.refresh_from_db()
    after = (status, "medium") if why else AFTERWARDS[verb]
    assert (task.status, task.priority) == after
    assert list(Event.objects.values_list("task", "kind", "actor", "reason")) == (
        [] if why else [(task.pk, EVENTS[verb], "ada", "the client asked for it")]
    )
    assert progress(action) == (1, 0 if why else 1, True)


def test_preview_counts_changes_and_obstacles() -> None:
    chosen = tasks(
        "pending", "processing", "processing", "completed", "completed", "completed", "cancelled"
    )
    TaskFactory()
    action = choose(chosen, CANCEL, actor="ada")
    found = preview(action)
    assert found.to_change == 3
    # The most frequent obstacle comes first.
    assert list(found.obstacles.items()) == [
        ("Completed, which is final", 3),
        ("Cancelled already", 1),
    ]
    assert promise(action, found) == "3 tasks will be cancelled."


def test_preview_counts_tasks_that_already_have_the_priority() -> None:
    chosen = [*tasks("pending", priority="high"), *tasks("pending", "failed")]
    found = preview(choose(chosen, VERBS["priority_high"], actor="ada"))
    assert found.to_change == 1
    assert found.obstacles == {
        "High priority already": 1,
        "Failed; only pending tasks of another priority can be given high priority": 1,
    }


def test_preview_changes_nothing() -> None:
    chosen = tasks("pending")
    preview(choose(chosen, CANCEL, actor="ada"))
    assert statuses(chosen) == ["pending"]
    assert not Event.objects.exists()


def test_preview_uses_the_current_status() -> None:
    chosen = tasks("pending", "pending")
    action = choose(chosen, CANCEL, actor="ada")
    Task.objects.cancel(chosen[:1])
    assert preview(action).obstacles == {"Cancelled already": 1}


def test_preview_is_one_statement(django_assert_num_queries: Any) -> None:
    action = choose(tasks("pending", "failed", "completed"), CANCEL, actor="ada")
    with django_assert_num_queries(1):
        preview(action)


def test_unconfirmed_action_changes_nothing() -> None:
    chosen = tasks("pending")
    action = choose(chosen, CANCEL, actor="ada")
    proceed(action)
    assert statuses(chosen) == ["pending"]
    assert progress(action) == (0, 0, False)


def test_task_that_changed_meanwhile_is_skipped() -> None:
    chosen = tasks("pending", "pending")
    action = confirmed(chosen)
    Task.objects.get(pk=chosen[0]).cancel(actor="eve", reason="first")
    proceed(action)
    assert statuses(chosen) == ["cancelled", "cancelled"]
    assert list(Event.objects.values_list("task", "actor")) == [
        (chosen[0], "eve"),
        (chosen[1], "ada"),
    ]
    assert report(action) == (
        "1 task cancelled; 1 task skipped: only pending or processing tasks can be cancelled."
    )


def test_each_step_takes_the_next_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 2)
    chosen = tasks("pending", "completed", "pending", "pending", "failed")
    action = confirmed(chosen)
    found = []
    while take_step(action.pk):
        found.append(progress(action))
    assert [*found, progress(action)] == [(2, 1, False), (4, 3, False), (5, 3, True)]
    assert statuses(chosen) == ["cancelled", "completed", "cancelled", "cancelled", "failed"]


def test_ended_action_takes_no_more_steps() -> None:
    chosen = tasks("failed")
    action = confirmed(chosen, REQUEUE)
    proceed(action)
    task = Task.objects.get()
    start(task)
    fail(task)
    ended_at = action.ended_at
    proceed(action)
    assert statuses(chosen) == ["failed"]
    assert action.ended_at == ended_at


def test_steps_stop_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 1)
    action = confirmed(tasks("pending", "pending", "pending"))
    assert bulk.proceed(action.pk, seconds=0) is True
    assert progress(action) == (1, 1, False)
    assert bulk.proceed(action.pk, seconds=60) is False
    assert progress(action) == (3, 3, True)


def test_stopped_action_skips_the_remaining_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 1)
    chosen = tasks("pending", "pending", "pending")
    action = confirmed(chosen)
    take_step(action.pk)
    action.stop()
    proceed(action)
    assert statuses(chosen) == ["cancelled", "pending", "pending"]
    assert (action.is_stopped, progress(action)) == (True, (1, 1, True))


@pytest.mark.parametrize(
    ("given", "verb", "said"),
    [
        (["pending"], "cancel", "1 task cancelled."),
        (["failed", "failed"], "requeue", "2 tasks requeued."),
        (["pending", "pending"], "priority_low", "2 tasks given low priority."),
        (
            ["failed", "pending", "completed"],
            "requeue",
            "1 task requeued; 2 tasks skipped: only failed tasks can be requeued, "
            "and none whose outcome is unknown.",
        ),
        (
            ["completed"],
            "priority_low",
            "No tasks given low priority; 1 task skipped: only pending tasks of another "
            "priority can be given low priority.",
        ),
    ],
)
def test_report_counts_changed_and_skipped_tasks(given: list[str], verb: str, said: str) -> None:
    action = confirmed(tasks(*given), VERBS[verb])
    proceed(action)
    assert report(action) == said


def test_report_of_an_unfinished_action_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 2)
    action = confirmed(tasks("pending", "completed", "pending"))
    take_step(action.pk)
    action.refresh_from_db()
    assert report(action) == "2 of 3 tasks processed, 1 cancelled."
    action.stop()
    assert report(action) == "Stopped: 2 of 3 tasks processed, 1 cancelled."


@pytest.fixture
def refused_event() -> Iterator[list[uuid.UUID]]:
    """Yield three tasks; the database refuses the event of the second."""
    chosen = tasks("pending", "pending", "pending")
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE task_events ADD CONSTRAINT refused CHECK (task_id <> '{chosen[1]}')"
        )
    yield chosen
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events DROP CONSTRAINT IF EXISTS refused")


@pytest.mark.django_db(transaction=True)
def test_failed_step_changes_nothing_and_can_be_repeated(refused_event: list[uuid.UUID]) -> None:
    action = confirmed(refused_event)
    with pytest.raises(IntegrityError, match="refused"):
        proceed(action)
    assert statuses(refused_event) == ["pending"] * 3
    assert progress(action) == (0, 0, False)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events DROP CONSTRAINT refused")
    proceed(action)
    assert statuses(refused_event) == ["cancelled"] * 3
    assert progress(action) == (3, 3, True)
    assert Event.objects.count() == 3


@pytest.fixture
def refused_progress() -> Iterator[None]:
    """Have the database refuse to store the progress of actions."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_actions ADD CONSTRAINT refused CHECK (position = 0)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_actions DROP CONSTRAINT refused")


@pytest.mark.usefixtures("refused_progress")
@pytest.mark.django_db(transaction=True)
def test_tasks_are_not_changed_when_the_progress_cannot_be_stored() -> None:
    chosen = tasks("pending")
    action = confirmed(chosen)
    with pytest.raises(IntegrityError, match="refused"):
        take_step(action.pk)
    assert statuses(chosen) == ["pending"]
    assert not Event.objects.exists()
    assert progress(action) == (0, 0, False)


@pytest.mark.django_db(transaction=True)
def test_steps_before_a_failed_step_are_kept(
    refused_event: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 1)
    action = confirmed(refused_event)
    with pytest.raises(IntegrityError, match="refused"):
        proceed(action)
    assert statuses(refused_event) == ["cancelled", "pending", "pending"]
    assert progress(action) == (1, 1, False)


@pytest.mark.django_db(transaction=True)
def test_concurrent_steps_change_each_task_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TASKS_PER_STEP", 7)
    chosen = [task.pk for task in Task.objects.bulk_create(Task(goal="x") for _ in range(200))]
    action = confirmed(chosen)
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(call_and_disconnect, lambda: bulk.proceed(action.pk, seconds=60))
            for _ in range(4)
        ]
        for run in runs:
            run.result(60)
    assert progress(action) == (200, 200, True)
    assert Event.objects.count() == Event.objects.values("task").distinct().count() == 200


def test_step_takes_few_queries(django_assert_num_queries: Any) -> None:
    action = confirmed(tasks("pending", "pending"))
    # Open a savepoint, read the action, read its next ids, change the tasks and end their runs in
    # a savepoint of its own (4), save the action, release the savepoint.
    with django_assert_num_queries(9):
        take_step(action.pk)


def test_preview_is_counted_in_the_database() -> None:
    tasks = [*TaskFactory.create_batch(3), *TaskFactory.create_batch(2, completed=True)]
    action = choose([task.pk for task in tasks], CANCEL, actor="ada")
    with CaptureQueriesContext(connection) as queries:
        preview(action)
    assert [query["sql"].partition(" GROUP BY ")[2] for query in queries] == ["1, 2"]
