"""Bells: when they ring, in which order, and that a second one spoils nothing."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django.utils import timezone

from tasks.execution.bells import rank
from tasks.execution.ringing import ring_action, ring_check, ring_tasks
from tasks.models import Arm, Event, Step, Task
from tasks.models.action import Action
from tasks.states import Priority
from tests.arms import ScriptedArm, says_status
from tests.factories import ClientFactory, TaskFactory
from tests.reflex_layer import ScriptedReflexLayer
from tests.tasks.clients.keys import key_of, submit
from tests.tasks.execution.bells import begin, ringing
from tests.tasks.execution.conftest import Hand

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ranks() -> dict[str, int]:
    """Return the rank of each waiting job, by its lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT queueing_lock, priority FROM procrastinate_jobs")
        return dict(cursor.fetchall())


def test_a_submission_rings(client: Browser, reflex_layer: ScriptedReflexLayer) -> None:
    task_id = submit(client, key_of()).json()["task_id"]
    task = Task.objects.get()
    assert ringing() == [(begin(task.pk)[0], task_id)]
    assert ranks() == {task_id: rank(task.priority, task.created_at, is_anonymous=False)}


def test_an_anonymous_submission_weighs_at_most_medium(
    client: Browser, reflex_layer: ScriptedReflexLayer
) -> None:
    task_id = submit(client, body={"goal": "Plan", "priority": "critical"}).json()["task_id"]
    task = Task.objects.get()
    assert ranks() == {task_id: rank("medium", task.created_at, is_anonymous=False)}


@pytest.mark.parametrize("priority", [Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM])
def test_an_anonymous_task_goes_with_the_medium_ones(priority: Priority) -> None:
    medium = rank("medium", NOW, is_anonymous=False)
    assert rank(priority, NOW, is_anonymous=True) == medium


def test_an_anonymous_task_of_low_priority_goes_after_them() -> None:
    low = rank("low", NOW, is_anonymous=False)
    assert rank("low", NOW, is_anonymous=True) == low


@pytest.mark.parametrize(
    ("priority", "before"),
    [("critical", timedelta(days=1)), ("high", timedelta(hours=1)), ("low", -timedelta(hours=1))],
)
def test_a_priority_is_a_head_start(priority: str, before: timedelta) -> None:
    medium = rank("medium", NOW, is_anonymous=False)
    assert rank(priority, NOW + before, is_anonymous=False) == medium
    second_later = NOW + before + timedelta(seconds=1)
    assert rank(priority, second_later, is_anonymous=False) == medium - 1


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("has_client", [True, False])
def test_postgresql_ranks_as_we_do(priority: Priority, *, has_client: bool) -> None:
    client = ClientFactory() if has_client else None
    task = TaskFactory(client=client, priority=priority)
    ring_tasks([task.pk])
    expected = rank(priority, Task.objects.get().created_at, is_anonymous=not has_client)
    assert ranks() == {str(task.pk): expected}


def test_a_second_bell_is_one_bell(worker: Hand) -> None:
    task = TaskFactory()
    ring_tasks([task.pk])
    ring_tasks([task.pk])
    assert ringing() == [begin(task.pk)]


def test_a_bell_that_rings_already_spoils_no_transaction(worker: Hand, arm: ScriptedArm) -> None:
    ring_check("helper")
    with transaction.atomic():
        ring_check("helper")
        Arm.objects.update(tier=7)
    assert Arm.objects.get().tier == 7
    assert len(ringing("staff")) == 1


def test_a_bell_rings_again_while_the_first_is_being_answered(worker: Hand) -> None:
    task = TaskFactory()
    ring_tasks([task.pk])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    ring_tasks([task.pk])
    assert ringing() == [begin(task.pk)]


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "cancelled"])
def test_a_bell_that_finds_nothing_to_do_ends(worker: Hand, arm: ScriptedArm, status: str) -> None:
    task = TaskFactory(status=status)
    worker.carrier.carry_out_task(task.pk)
    assert not Step.objects.exists()
    assert not Event.objects.exists()


def test_a_bell_of_a_task_that_is_gone_ends(worker: Hand, arm: ScriptedArm) -> None:
    worker.carrier.carry_out_task(TaskFactory.build().pk)
    worker.carrier.carry_out_step(TaskFactory.build().pk)
    assert arm.work == []


def test_a_changed_priority_moves_the_waiting_job(worker: Hand) -> None:
    task = TaskFactory(client=ClientFactory())
    ring_tasks([task.pk])
    task.change_priority(Priority.CRITICAL)
    expected = rank("critical", Task.objects.get().created_at, is_anonymous=False)
    assert ranks() == {str(task.pk): expected}


def test_a_changed_priority_moves_a_parked_step(worker: Hand) -> None:
    task = TaskFactory(client=ClientFactory())
    worker.carrier.carry_out_task(task.pk)
    task.change_priority(Priority.HIGH)
    expected = rank("high", Task.objects.get().created_at, is_anonymous=False)
    assert Step.objects.get().rank == expected


def test_a_changed_priority_of_an_anonymous_task_stays_medium(worker: Hand) -> None:
    task = TaskFactory(priority=Priority.LOW)
    ring_tasks([task.pk])
    task.change_priority(Priority.CRITICAL)
    assert ranks() == {
        str(task.pk): rank("medium", Task.objects.get().created_at, is_anonymous=True)
    }


def test_the_highest_rank_is_carried_out_first(worker: Hand, arm: ScriptedArm) -> None:
    client = ClientFactory()
    tasks = [
        TaskFactory(client=client, priority=priority, goal=priority)
        for priority in ("medium", "critical", "low", "high")
    ]
    ring_tasks([task.pk for task in tasks])
    worker.work()
    goals = [request.json["task_contract"]["goal"] for request in arm.work]
    assert goals == ["critical", "high", "medium", "low"]


def test_a_requeue_rings_the_task_again(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = says_status("400 Bad Request")
    task = TaskFactory()
    worker.carrier.carry_out_task(task.pk)
    Task.objects.get().requeue()
    assert ringing() == [begin(task.pk)]


def test_an_action_of_staff_has_a_queue_of_its_own(worker: Hand) -> None:
    action = Action.objects.create(verb="cancel", actor="ann", task_ids=[TaskFactory().pk])
    ring_action(action.pk)
    assert ringing("staff") == [("act", str(action.pk))]
    assert not ringing()
