"""The verbs of `tasks.models.Task`, which change the status of a task."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from tasks.changes import EventKind, change
from tasks.exceptions import InvalidTransition
from tasks.models import Event, Task, TaskResult
from tasks.states import TRANSITIONS, Status, sources
from tests.factories import TaskFactory
from tests.tasks.execution.counters import counters

RACERS = 8
# For each verb: the status that it enters, and a call of it.
VERBS: dict[str, tuple[Status, Callable[[Task], Any]]] = {
    "cancel": (Status.CANCELLED, Task.cancel),
    "requeue": (Status.PENDING, Task.requeue),
}
# Copied from the design, to check the code against it.
ALLOWED = {
    (Status.PENDING, "cancel"),
    (Status.PROCESSING, "cancel"),
    (Status.FAILED, "requeue"),
}
FORBIDDEN = {(status, verb) for status in Status for verb in VERBS} - ALLOWED
FOLLOWING = {
    (Status.PENDING, Status.PROCESSING),
    (Status.PENDING, Status.CANCELLED),
    (Status.PROCESSING, Status.COMPLETED),
    (Status.PROCESSING, Status.FAILED),
    (Status.PROCESSING, Status.CANCELLED),
    (Status.FAILED, Status.PENDING),
}


def entries() -> dict[str, int]:
    """Return how often tasks entered each status, according to the counters."""
    return {status: int(value) for (status,), value in counters("tasks").items()}


def stored(task: Task) -> dict[str, Any]:
    return Task.objects.values().get(pk=task.pk)


@pytest.mark.parametrize(("status", "verb"), sorted(ALLOWED))
@pytest.mark.django_db
def test_verb_enters_its_status(status: Status, verb: str) -> None:
    task = TaskFactory(status=status)
    before = stored(task)
    wanted, enter = VERBS[verb]
    enter(task)
    after = stored(task)
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {"status": wanted, "updated_at": after["updated_at"]}
    assert (task.status, task.updated_at) == (wanted, after["updated_at"])


@pytest.mark.parametrize(("status", "verb"), sorted(FORBIDDEN))
@pytest.mark.django_db
def test_forbidden_verb_changes_nothing(status: Status, verb: str) -> None:
    task = TaskFactory(status=status)
    before = stored(task)
    wanted, enter = VERBS[verb]
    with pytest.raises(InvalidTransition) as caught:
        enter(task)
    assert (caught.value.task_id, caught.value.wanted) == (task.pk, wanted)
    assert (stored(task), task.status) == (before, status)
    assert not TaskResult.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_verb_checks_the_status_in_the_database_not_in_the_object() -> None:
    task = TaskFactory(failed=True)
    stale = Task.objects.get(pk=task.pk)
    task.requeue()
    with pytest.raises(InvalidTransition):
        stale.requeue()
    assert stored(task)["status"] == "pending"


@pytest.mark.django_db
def test_verb_on_a_task_that_is_not_stored_is_refused() -> None:
    with pytest.raises(InvalidTransition):
        Task(goal="x").cancel()
    assert not Task.objects.exists()


@pytest.mark.parametrize("wanted", Status)
@pytest.mark.django_db
def test_a_status_is_entered_only_from_those_before_it(wanted: Status) -> None:
    tasks = {status: TaskFactory(status=status).pk for status in Status}
    changed = change(
        EventKind.STATUS,
        wanted,
        task_ids=[*tasks.values()],
        sources=sources(wanted),
        actor="",
        reason="",
    )
    assert changed == {tasks[before] for before, after in FOLLOWING if after is wanted}
    assert set(Task.objects.filter(status=wanted).values_list("pk", flat=True)) == {
        *changed,
        tasks[wanted],
    }


def test_completed_and_cancelled_are_final() -> None:
    final = {status for status in Status if Task(status=status).is_final}
    assert final == {Status.COMPLETED, Status.CANCELLED}


def test_every_status_is_in_the_table_of_transitions() -> None:
    assert TRANSITIONS.keys() == set(Status)


@pytest.fixture
def race(transactional_db: None) -> Callable[..., tuple[int, int]]:
    """Run verbs at the same moment, each on its own connection; return how many succeeded and
    how many were refused."""

    def run(task: Task, *verbs: str) -> tuple[int, int]:
        barrier = threading.Barrier(len(verbs))
        outcomes: list[bool] = []

        def compete(verb: str) -> None:
            mine = Task.objects.get(pk=task.pk)
            barrier.wait(timeout=30)
            try:
                VERBS[verb][1](mine)
            except InvalidTransition:
                outcomes.append(False)
            else:
                outcomes.append(True)
            finally:
                connection.close()

        threads = [threading.Thread(target=compete, args=[verb]) for verb in verbs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes.count(True), outcomes.count(False)

    return run


@pytest.mark.parametrize(("status", "verb"), sorted(ALLOWED))
def test_exactly_one_of_racing_verbs_wins(
    status: Status, verb: str, race: Callable[..., tuple[int, int]]
) -> None:
    task = TaskFactory(status=status)
    assert race(task, *[verb] * RACERS) == (1, RACERS - 1)
    assert stored(task)["status"] == VERBS[verb][0]
    assert task.events.count() == 1
    assert entries() == {VERBS[verb][0]: 1}


@pytest.mark.parametrize(("status", "verb"), sorted(ALLOWED))
@pytest.mark.django_db
def test_change_of_status_is_counted_once(status: Status, verb: str) -> None:
    task = TaskFactory(status=status)
    wanted, enter = VERBS[verb]
    enter(task)
    assert entries() == {wanted: 1}
    enter(TaskFactory(status=status))
    assert entries() == {wanted: 2}


@pytest.mark.django_db(transaction=True)
def test_rolled_back_change_is_not_counted() -> None:
    task = TaskFactory()
    with transaction.atomic():
        task.cancel()
        assert entries() == {"cancelled": 1}
        transaction.set_rollback(True)
    assert entries() == {}


@pytest.mark.django_db
def test_refused_change_is_not_counted() -> None:
    task = TaskFactory(cancelled=True)
    with pytest.raises(InvalidTransition):
        task.cancel()
    assert entries() == {}
