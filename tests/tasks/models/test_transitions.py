"""The verbs of `tasks.models.Task`, which change the status of a task."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from prometheus_client import REGISTRY

from tasks.exceptions import InvalidTransition
from tasks.models import Event, Task, TaskResult
from tasks.states import TRANSITIONS, Status
from tests.factories import TaskFactory

RACERS = 8
# For each verb: the status that it enters, and a call of it. No other verb enters this status.
VERBS: dict[str, tuple[Status, Callable[[Task], Any]]] = {
    "start": (Status.PROCESSING, Task.start),
    "complete": (Status.COMPLETED, lambda task: task.complete(result_data=1, confidence=0.5)),
    "fail": (Status.FAILED, Task.fail),
    "cancel": (Status.CANCELLED, Task.cancel),
    "requeue": (Status.PENDING, Task.requeue),
}
# Copied from the design, to check the code against it.
ALLOWED = {
    (Status.PENDING, "start"),
    (Status.PENDING, "cancel"),
    (Status.PROCESSING, "complete"),
    (Status.PROCESSING, "fail"),
    (Status.PROCESSING, "cancel"),
    (Status.FAILED, "requeue"),
}
FORBIDDEN = {(status, verb) for status in Status for verb in VERBS} - ALLOWED


def entries(status: Status) -> float:
    """Return how often tasks entered `status`, according to /metrics."""
    value = REGISTRY.get_sample_value("octollm_orchestrator_tasks_total", {"status": status.value})
    assert value is not None
    return value


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
    assert after == before | {
        "status": wanted,
        "has_result": verb == "complete",
        "updated_at": after["updated_at"],
    }
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
    task = TaskFactory()
    stale = Task.objects.get(pk=task.pk)
    task.cancel()
    with pytest.raises(InvalidTransition):
        stale.start()
    assert stored(task)["status"] == "cancelled"


@pytest.mark.django_db
def test_verb_on_a_task_that_is_not_stored_is_refused() -> None:
    with pytest.raises(InvalidTransition):
        Task(goal="x").start()
    assert not Task.objects.exists()


def test_completed_and_cancelled_are_final() -> None:
    final = {status for status in Status if Task(status=status).is_final}
    assert final == {Status.COMPLETED, Status.CANCELLED}


def test_every_status_is_in_the_table_of_transitions() -> None:
    assert TRANSITIONS.keys() == set(Status)


@pytest.mark.django_db
def test_complete_stores_the_result() -> None:
    task = TaskFactory(processing=True)
    result = task.complete(result_data={"sentiment": [0.8, None]}, confidence=0.9)
    assert TaskResult.objects.values("id", "task_id", "result_data", "confidence").get() == {
        "id": result.pk,
        "task_id": task.pk,
        "result_data": {"sentiment": [0.8, None]},
        "confidence": Decimal("0.9"),
    }


@pytest.mark.parametrize(
    "result",
    [
        {"result_data": 1, "confidence": 1.5},
        {"result_data": 1, "confidence": -0.1},
        {"result_data": None, "confidence": 1},
        # PostgreSQL cannot store NUL in jsonb.
        {"result_data": "\0", "confidence": 1},
    ],
)
@pytest.mark.django_db
def test_result_that_cannot_be_stored_leaves_the_task_processing(result: Any) -> None:
    task = TaskFactory(processing=True)
    before = stored(task)
    with pytest.raises(DatabaseError):
        task.complete(**result)
    assert stored(task) == before
    assert task.status == Status.PROCESSING
    assert not TaskResult.objects.exists()


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


def test_exactly_one_of_racing_starts_wins(race: Callable[..., tuple[int, int]]) -> None:
    task = TaskFactory()
    assert race(task, *["start"] * RACERS) == (1, RACERS - 1)
    assert stored(task)["status"] == "processing"
    assert task.events.count() == 1


def test_exactly_one_of_racing_completions_stores_its_result(
    race: Callable[..., tuple[int, int]],
) -> None:
    task = TaskFactory(processing=True)
    assert race(task, *["complete"] * RACERS) == (1, RACERS - 1)
    assert TaskResult.objects.filter(task=task).count() == 1


def test_exactly_one_of_different_racing_verbs_wins(race: Callable[..., tuple[int, int]]) -> None:
    task = TaskFactory(processing=True)
    assert race(task, *["complete", "fail", "cancel"] * 2) == (1, 5)
    is_completed = stored(task)["status"] == "completed"
    assert TaskResult.objects.filter(task=task).exists() == is_completed


@pytest.mark.parametrize(("status", "verb"), sorted(ALLOWED))
@pytest.mark.django_db(transaction=True)
def test_change_of_status_is_counted_once(status: Status, verb: str) -> None:
    task = TaskFactory(status=status)
    wanted, enter = VERBS[verb]
    before = {status: entries(status) for status in Status}
    enter(task)
    assert {status: entries(status) for status in Status} == before | {wanted: before[wanted] + 1}


@pytest.mark.django_db(transaction=True)
def test_change_of_status_is_counted_only_after_the_commit() -> None:
    task = TaskFactory()
    before = entries(Status.PROCESSING)
    with transaction.atomic():
        task.start()
        assert entries(Status.PROCESSING) == before
    assert entries(Status.PROCESSING) == before + 1


@pytest.mark.django_db(transaction=True)
def test_rolled_back_change_is_not_counted() -> None:
    task = TaskFactory(processing=True)
    before = entries(Status.COMPLETED)
    with pytest.raises(DatabaseError):
        task.complete(result_data=1, confidence=2)
    assert entries(Status.COMPLETED) == before


@pytest.mark.django_db(transaction=True)
def test_refused_change_is_not_counted() -> None:
    task = TaskFactory(cancelled=True)
    before = entries(Status.PROCESSING)
    with pytest.raises(InvalidTransition):
        task.start()
    assert entries(Status.PROCESSING) == before
