"""Bulk actions as jobs of workers, and those on tasks that wait or whose outcome is unknown."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tasks import bulk
from tasks.bulk import OUTCOME_UNKNOWN, choose, confirm, preview, promise, report
from tasks.execution.failures import FailureCode
from tasks.models import Action, Event, Run, Step, Task
from tasks.models.action import CANCEL, RELEASE, REQUEUE, RETRY_NOW
from tests.tasks.actions import failed_with, proceed, progress, tasks, waiting

pytestmark = pytest.mark.django_db


def statuses(task_ids: list[uuid.UUID]) -> list[str]:
    found = {task.pk: task.status for task in Task.objects.filter(pk__in=task_ids)}
    return [found[task_id] for task_id in task_ids]


def jobs(action: Action) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'staff' "
            "AND task_name = 'act' AND args = jsonb_build_object('action', %s::text)",
            [action.pk],
        )
        return int(cursor.fetchone()[0])


def test_confirmation_rings_a_worker_once() -> None:
    action = choose(tasks("pending"), CANCEL, actor="ada")
    assert jobs(action) == 0
    assert confirm(action, "a reason") is True
    assert confirm(action, "another reason") is False
    assert (jobs(action), action.reason) == (1, "a reason")


def test_release_lets_only_tasks_go_on_that_wait_for_it() -> None:
    released, other = waiting(waits_for="release"), waiting(waits_for="room")
    action = choose([released.task_id, other.task_id, *tasks("failed")], RELEASE, actor="ada")
    found = preview(action)
    assert (found.to_change, found.obstacles) == (
        1,
        {
            "Failed; only tasks that wait for their release can be released": 1,
            "Pending; only tasks that wait for their release can be released": 1,
        },
    )
    action.confirm("checked")
    proceed(action)
    assert list(Step.objects.filter(waits_for=None)) == [released]
    assert list(Event.objects.values_list("task", "kind", "actor", "reason")) == [
        (released.task_id, "release", "ada", "checked")
    ]
    assert report(action) == (
        "1 task released; 2 tasks skipped: only tasks that wait for their release can be released."
    )


def test_retry_now_ends_the_wait_for_the_next_call() -> None:
    retried, other = waiting(wake_at=timezone.now() + timedelta(hours=1)), waiting(waits_for="arm")
    action = choose([retried.task_id, other.task_id], RETRY_NOW, actor="ada")
    assert preview(action).obstacles == {
        "Pending; only tasks that wait for the time of their next call can be retried": 1
    }
    action.confirm("it is back")
    proceed(action)
    assert not Step.objects.exclude(wake_at=None).exists()
    assert Event.objects.get().task_id == retried.task_id


def test_requeue_leaves_out_tasks_whose_outcome_is_unknown() -> None:
    unknown = failed_with(FailureCode.OUTCOME_UNKNOWN)
    known = failed_with(FailureCode.ARM_FAILED)
    action = choose([unknown.pk, known.pk], REQUEUE, actor="ada")
    found = preview(action)
    assert (found.to_change, found.unknown, found.obstacles) == (1, 1, {OUTCOME_UNKNOWN: 1})
    assert promise(action, found) == (
        "1 task will be requeued, and 1 more if you tick the box below."
    )
    action.confirm("the arm is back")
    proceed(action)
    assert statuses([unknown.pk, known.pk]) == ["failed", "pending"]
    assert progress(action) == (2, 1, True)


def test_requeue_includes_tasks_whose_outcome_is_unknown_if_staff_chose_so() -> None:
    unknown = failed_with(FailureCode.OUTCOME_UNKNOWN)
    action = choose([unknown.pk], REQUEUE, actor="ada")
    confirm(action, "it did not happen", includes_unknown=True)
    proceed(action)
    assert statuses([unknown.pk]) == ["pending"]
    assert report(action) == "1 task requeued."


def test_only_the_last_run_decides_whether_the_outcome_is_unknown() -> None:
    task = failed_with(FailureCode.OUTCOME_UNKNOWN)
    Run.objects.create(
        task=task, number=2, failure_code=FailureCode.TIMED_OUT, ended_at=timezone.now()
    )
    action = choose([task.pk], REQUEUE, actor="ada")
    assert preview(action).to_change == 1
    action.confirm("once more")
    proceed(action)
    assert statuses([task.pk]) == ["pending"]


@pytest.mark.parametrize(
    ("fields", "offered"),
    [({"waits_for": "release"}, "release"), ({"wake_at": datetime.now(UTC)}, "retry_now")],
)
def test_verbs_of_a_task_that_waits(fields: dict[str, Any], offered: str) -> None:
    step = waiting(**fields)
    names = [verb.name for verb in bulk.verbs_for(step.task)]
    assert offered in names
    assert ({"release", "retry_now"} - {offered}).isdisjoint(names)
