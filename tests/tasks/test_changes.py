"""What a verb leaves in the timeline, and the verbs for many tasks at once."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from prometheus_client import REGISTRY

from tasks.exceptions import InvalidTransition, PriorityNotChanged
from tasks.models import Event, Task
from tasks.states import Priority, Status
from tests.factories import TaskFactory
from tests.postgresql import until_requests_wait

BY_ADA = {"actor": "ada", "reason": "the client asked for it"}
BY_THE_SERVICE = {"actor": "", "reason": ""}

Verb = Callable[[Task], Any]
BulkVerb = Callable[..., set[uuid.UUID]]


def raise_priority(ids: list[uuid.UUID], **by: str) -> set[uuid.UUID]:
    return Task.objects.change_priority(ids, Priority.HIGH, **by)


def events() -> list[dict[str, Any]]:
    return list(Event.objects.values("task_id", "kind", "actor", "reason", "data"))


def event(task: Task, kind: str, before: str, after: str, **by: str) -> dict[str, Any]:
    return {"task_id": task.pk, "kind": kind, "data": {"from": before, "to": after}, **by}


def count_of(status: Status) -> float:
    name = "octollm_orchestrator_tasks_total"
    return REGISTRY.get_sample_value(name, {"status": status.value}) or 0


@pytest.mark.parametrize(
    ("before", "verb", "after", "by"),
    [
        ("pending", Task.start, "processing", BY_THE_SERVICE),
        (
            "processing",
            lambda task: task.complete(result_data=1, confidence=1),
            "completed",
            BY_THE_SERVICE,
        ),
        ("processing", Task.fail, "failed", BY_THE_SERVICE),
        (
            "processing",
            lambda task: task.fail(reason="no arm answered"),
            "failed",
            {"actor": "", "reason": "no arm answered"},
        ),
        ("pending", lambda task: task.cancel(**BY_ADA), "cancelled", BY_ADA),
        ("processing", lambda task: task.cancel(**BY_ADA), "cancelled", BY_ADA),
        ("processing", Task.cancel, "cancelled", BY_THE_SERVICE),
        ("failed", lambda task: task.requeue(**BY_ADA), "pending", BY_ADA),
    ],
)
@pytest.mark.django_db
def test_verb_leaves_its_event(before: str, verb: Verb, after: str, by: dict[str, str]) -> None:
    task = TaskFactory(status=before)
    TaskFactory(status=before)
    verb(task)
    assert events() == [event(task, "status", before, after, **by)]


@pytest.mark.django_db
def test_event_has_the_time_of_the_change() -> None:
    task = TaskFactory()
    task.start()
    assert Event.objects.get().created_at == task.updated_at > task.created_at


@pytest.mark.django_db
def test_change_of_priority_leaves_its_event() -> None:
    task = TaskFactory()
    task.change_priority(Priority.HIGH, **BY_ADA)
    stored = Task.objects.get(pk=task.pk)
    assert (stored.priority, stored.status) == ("high", "pending")
    assert (task.priority, task.updated_at) == (stored.priority, stored.updated_at)
    assert task.updated_at > task.created_at
    assert events() == [event(task, "priority", "medium", "high", **BY_ADA)]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        # It has that priority already.
        (Status.PENDING, Priority.MEDIUM),
        *((status, Priority.HIGH) for status in Status if status is not Status.PENDING),
    ],
)
@pytest.mark.django_db
def test_priority_that_cannot_be_changed_leaves_no_event(status: Status, wanted: Priority) -> None:
    task = TaskFactory(status=status)
    before = Task.objects.values().get()
    with pytest.raises(PriorityNotChanged) as caught:
        task.change_priority(wanted)
    assert (caught.value.task_id, caught.value.wanted) == (task.pk, wanted)
    assert Task.objects.values().get() == before
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_unknown_priority_is_refused_by_the_database() -> None:
    task = TaskFactory()
    with pytest.raises(IntegrityError, match="tasks_priority_known"), transaction.atomic():
        task.change_priority("urgent")
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_result_that_is_refused_leaves_no_event() -> None:
    task = TaskFactory(processing=True)
    with pytest.raises(IntegrityError):
        task.complete(result_data=1, confidence=2)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_transaction_that_is_rolled_back_leaves_neither_change_nor_event() -> None:
    task = TaskFactory()
    with transaction.atomic():
        task.cancel()
        transaction.set_rollback(True)
    assert Task.objects.get().status == "pending"
    assert not Event.objects.exists()


@pytest.fixture
def refused_events(transactional_db: None) -> Iterator[None]:
    """Have the database refuse every event."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events ADD CONSTRAINT refused CHECK (false)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events DROP CONSTRAINT refused")


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        ("pending", Task.start),
        ("processing", lambda task: task.complete(result_data=1, confidence=1)),
        ("pending", Task.cancel),
        ("failed", Task.requeue),
        ("pending", lambda task: task.change_priority(Priority.HIGH)),
        ("pending", lambda task: Task.objects.cancel([task.pk])),
    ],
)
def test_event_that_is_refused_takes_the_change_with_it(
    status: str, verb: Verb, refused_events: None
) -> None:
    task = TaskFactory(status=status)
    before = Task.objects.values().get()
    counts = {status: count_of(status) for status in Status}
    with pytest.raises(IntegrityError, match="refused"):
        verb(task)
    assert Task.objects.values().get() == before
    assert not task.results.exists()
    assert {status: count_of(status) for status in Status} == counts


@pytest.mark.parametrize(
    ("verb", "kind", "legal", "after"),
    [
        (Task.objects.cancel, "status", {Status.PENDING, Status.PROCESSING}, "cancelled"),
        (Task.objects.requeue, "status", {Status.FAILED}, "pending"),
        (raise_priority, "priority", {Status.PENDING}, "high"),
    ],
)
@pytest.mark.django_db
def test_bulk_changes_only_what_may_be_changed(
    verb: BulkVerb, kind: str, legal: set[Status], after: str
) -> None:
    tasks = {status: TaskFactory(status=status) for status in Status}
    # Nobody asked for these.
    for status in Status:
        TaskFactory(status=status)
    before = {row["id"]: row for row in Task.objects.values()}
    changed = verb([task.pk for task in tasks.values()], **BY_ADA)
    assert changed == {tasks[status].pk for status in legal}
    rows = {row["id"]: row for row in Task.objects.values()}
    assert rows == before | {
        key: before[key] | {kind: after, "updated_at": rows[key]["updated_at"]} for key in changed
    }
    assert sorted(events(), key=lambda row: row["task_id"]) == sorted(
        [
            event(tasks[status], kind, before[tasks[status].pk][kind], after, **BY_ADA)
            for status in legal
        ],
        key=lambda row: row["task_id"],
    )


@pytest.mark.parametrize("verb", [Task.objects.cancel, Task.objects.requeue, raise_priority])
@pytest.mark.parametrize("ids", [[], [uuid.UUID(int=1)]])
@pytest.mark.django_db
def test_bulk_of_nothing_changes_nothing(verb: BulkVerb, ids: list[uuid.UUID]) -> None:
    TaskFactory()
    TaskFactory(failed=True)
    assert verb(ids) == set()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_bulk_leaves_out_tasks_that_have_the_priority() -> None:
    task = TaskFactory()
    assert raise_priority([task.pk, TaskFactory(priority=Priority.HIGH).pk]) == {task.pk}
    assert Event.objects.count() == 1


@pytest.mark.django_db
def test_bulk_of_a_thousand_is_one_statement(django_assert_num_queries: Any) -> None:
    ids = [task.pk for task in Task.objects.bulk_create(Task(goal="x") for _ in range(1_000))]
    with django_assert_num_queries(1):
        assert Task.objects.cancel(ids) == set(ids)
    assert Event.objects.count() == 1_000


@pytest.mark.django_db(transaction=True)
def test_bulk_is_counted() -> None:
    ids = [TaskFactory().pk, TaskFactory().pk, TaskFactory(completed=True).pk]
    before = {status: count_of(status) for status in Status}
    # Enters no status.
    raise_priority(ids)
    Task.objects.cancel(ids)
    assert {status: count_of(status) for status in Status} == before | {
        Status.CANCELLED: before[Status.CANCELLED] + 2
    }


def alone(act: Callable[[], Any]) -> Any:
    """Do `act` in a thread, whose connection is not needed afterwards."""
    try:
        return act()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_bulk_holds_no_row_while_it_waits_for_one_before_it() -> None:
    ids = sorted(uuid.uuid4() for _ in range(20))
    # The other way round, so that the order of the table is not that of the ids.
    for task_id in reversed(ids):
        TaskFactory(id=task_id)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=ids[0])
            bulk = pool.submit(alone, lambda: Task.objects.cancel(ids))
            until_requests_wait(connection.connection)
            Task.objects.select_for_update(nowait=True).get(pk=ids[-1])
        assert bulk.result(30) == set(ids)


@pytest.mark.django_db(transaction=True)
def test_bulks_that_overlap_share_the_tasks_between_them() -> None:
    ids = [task.pk for task in Task.objects.bulk_create(Task(goal="x") for _ in range(300))]
    with ThreadPoolExecutor(4) as pool:
        asked = [ids[:200], ids[:99:-1], ids[::-1], ids]
        bulks = [pool.submit(alone, lambda some=some: Task.objects.cancel(some)) for some in asked]
        changed = [bulk.result(30) for bulk in bulks]
    assert sorted(task_id for some in changed for task_id in some) == sorted(ids)
    assert Event.objects.count() == Event.objects.values("task").distinct().count() == 300


@pytest.mark.parametrize(
    ("late", "error"),
    [
        (lambda task: task.change_priority(Priority.HIGH), PriorityNotChanged),
        (Task.start, InvalidTransition),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_verb_that_waited_sees_what_the_other_did(late: Verb, error: type[Exception]) -> None:
    task = TaskFactory()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.get().start()
            waiting = pool.submit(alone, lambda: late(task))
            until_requests_wait(connection.connection)
        with pytest.raises(error):
            waiting.result(30)
    assert events() == [event(task, "status", "pending", "processing", **BY_THE_SERVICE)]
    assert Task.objects.get().priority == "medium"


@pytest.mark.django_db(transaction=True)
def test_verb_that_waited_tells_of_what_it_found_and_when() -> None:
    task = TaskFactory()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.get().change_priority(Priority.LOW)
            waiting = pool.submit(alone, lambda: task.change_priority(Priority.HIGH))
            until_requests_wait(connection.connection)
            # Later than the one that waits has begun.
            Task.objects.get().change_priority(Priority.CRITICAL)
        waiting.result(30)
    assert [(row["data"]["from"], row["data"]["to"]) for row in events()] == [
        ("medium", "low"),
        ("low", "critical"),
        ("critical", "high"),
    ]
    times = list(Event.objects.values_list("created_at", flat=True))
    assert times == sorted(times)
