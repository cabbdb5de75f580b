"""Changes of one task or of many tasks at once, and the events that they write."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from tasks.exceptions import InvalidTransition, PriorityNotChanged
from tasks.models import Count, Event, Task
from tasks.states import Priority, Status
from tests.factories import TaskFactory
from tests.postgresql import until_requests_wait
from tests.tasks.actions import call_and_disconnect
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.counters import counters

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


def entries() -> dict[str, int]:
    """Return how often tasks entered each status, according to the counters."""
    return {status: int(value) for (status,), value in counters("tasks").items()}


@pytest.mark.parametrize(
    ("before", "verb", "after", "by"),
    [
        ("pending", lambda task: task.cancel(**BY_ADA), "cancelled", BY_ADA),
        ("processing", lambda task: task.cancel(**BY_ADA), "cancelled", BY_ADA),
        ("processing", Task.cancel, "cancelled", BY_THE_SERVICE),
        ("failed", lambda task: task.requeue(**BY_ADA), "pending", BY_ADA),
    ],
)
@pytest.mark.django_db
def test_verb_writes_its_event(before: str, verb: Verb, after: str, by: dict[str, str]) -> None:
    task = TaskFactory(status=before)
    TaskFactory(status=before)
    verb(task)
    assert events() == [event(task, "status", before, after, **by)]


@pytest.mark.django_db
def test_event_has_the_time_of_the_change() -> None:
    task = TaskFactory()
    task.cancel()
    assert Event.objects.get().created_at == task.updated_at > task.created_at


@pytest.mark.django_db
def test_change_of_priority_writes_its_event() -> None:
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
        # The task has this priority already.
        (Status.PENDING, Priority.MEDIUM),
        *((status, Priority.HIGH) for status in Status if status is not Status.PENDING),
    ],
)
@pytest.mark.django_db
def test_refused_change_of_priority_writes_no_event(status: Status, wanted: Priority) -> None:
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


@pytest.mark.django_db(transaction=True)
def test_rollback_removes_the_change_and_its_event() -> None:
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
        ("pending", Task.cancel),
        ("processing", Task.cancel),
        ("failed", Task.requeue),
        ("pending", lambda task: task.change_priority(Priority.HIGH)),
        ("pending", lambda task: Task.objects.cancel([task.pk])),
    ],
)
def test_refused_event_rolls_back_the_change(status: str, verb: Verb, refused_events: None) -> None:
    task = TaskFactory(status=status)
    before = Task.objects.values().get()
    with pytest.raises(IntegrityError, match="refused"):
        verb(task)
    assert Task.objects.values().get() == before
    assert (entries(), ringing()) == ({}, [])


@pytest.mark.parametrize(
    ("verb", "kind", "legal", "after"),
    [
        (Task.objects.cancel, "status", {Status.PENDING, Status.PROCESSING}, "cancelled"),
        (Task.objects.requeue, "status", {Status.FAILED}, "pending"),
        (raise_priority, "priority", {Status.PENDING}, "high"),
    ],
)
@pytest.mark.django_db
def test_bulk_changes_only_tasks_in_legal_statuses(
    verb: BulkVerb, kind: str, legal: set[Status], after: str
) -> None:
    tasks = {status: TaskFactory(status=status) for status in Status}
    # The ids of these are not passed.
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
def test_bulk_without_known_ids_changes_nothing(verb: BulkVerb, ids: list[uuid.UUID]) -> None:
    TaskFactory()
    TaskFactory(failed=True)
    assert verb(ids) == set()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_bulk_skips_tasks_that_already_have_the_priority() -> None:
    task = TaskFactory()
    assert raise_priority([task.pk, TaskFactory(priority=Priority.HIGH).pk]) == {task.pk}
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        (Task.objects.cancel, "pending"),
        (Task.objects.requeue, "failed"),
        (raise_priority, "pending"),
    ],
)
@pytest.mark.django_db
def test_bulk_change_of_a_thousand_tasks_is_two_statements(
    verb: BulkVerb, status: str, django_assert_num_queries: Any
) -> None:
    rows = (Task(goal="x", status=status) for _ in range(1_000))
    ids = [task.pk for task in Task.objects.bulk_create(rows)]
    # The change with its events and counts, and what follows for runs, steps and jobs. Within the
    # transaction of this test, theirs is a savepoint.
    with django_assert_num_queries(4) as captured:
        assert verb(ids) == set(ids)
    first, *_, last = [query["sql"] for query in captured.captured_queries]
    assert first.startswith("SAVEPOINT")
    assert last.startswith("RELEASE SAVEPOINT")
    assert Event.objects.count() == 1_000


@pytest.mark.parametrize("verb", [Task.objects.cancel, Task.objects.requeue, raise_priority])
@pytest.mark.django_db
def test_bulk_that_changes_no_task_is_one_statement(
    verb: BulkVerb, django_assert_num_queries: Any
) -> None:
    ids = [TaskFactory(completed=True).pk]
    # With the savepoint.
    with django_assert_num_queries(3):
        assert verb(ids) == set()


@pytest.mark.django_db
def test_bulk_changes_are_counted() -> None:
    ids = [TaskFactory().pk, TaskFactory().pk, TaskFactory(completed=True).pk]
    # A change of priority enters no status.
    raise_priority(ids)
    assert entries() == {}
    Task.objects.cancel(ids)
    assert entries() == {"cancelled": 2}
    Task.objects.requeue([TaskFactory(failed=True).pk])
    assert entries() == {"cancelled": 2, "pending": 1}


@pytest.mark.django_db(transaction=True)
def test_counters_of_concurrent_changes_add_up() -> None:
    ids = [task.pk for task in Task.objects.bulk_create(Task(goal="x") for _ in range(80))]
    with ThreadPoolExecutor(8) as pool:
        bulks = [
            pool.submit(call_and_disconnect, lambda some=some: Task.objects.cancel(some))
            for some in (ids[number::8] for number in range(8))
        ]
        assert sum(len(bulk.result(30)) for bulk in bulks) == 80
    assert entries() == {"cancelled": 80}
    # Each thread raises its part of the counter in place.
    assert Count.objects.count() <= 8


@pytest.mark.django_db(transaction=True)
def test_bulk_locks_rows_in_the_order_of_their_ids() -> None:
    ids = sorted(uuid.uuid4() for _ in range(20))
    # Inserted in reverse, so that the rows of the table are not in the order of their ids.
    for task_id in reversed(ids):
        TaskFactory(id=task_id)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=ids[0])
            bulk = pool.submit(call_and_disconnect, lambda: Task.objects.cancel(ids))
            until_requests_wait(connection.connection)
            Task.objects.select_for_update(nowait=True).get(pk=ids[-1])
        assert bulk.result(30) == set(ids)


@pytest.mark.django_db(transaction=True)
def test_overlapping_bulks_change_each_task_once() -> None:
    ids = [task.pk for task in Task.objects.bulk_create(Task(goal="x") for _ in range(300))]
    with ThreadPoolExecutor(4) as pool:
        asked = [ids[:200], ids[:99:-1], ids[::-1], ids]
        bulks = [
            pool.submit(call_and_disconnect, lambda some=some: Task.objects.cancel(some))
            for some in asked
        ]
        changed = [bulk.result(30) for bulk in bulks]
    assert sorted(task_id for some in changed for task_id in some) == sorted(ids)
    assert Event.objects.count() == Event.objects.values("task").distinct().count() == 300


@pytest.mark.parametrize(
    ("late", "error"),
    [
        (lambda task: task.change_priority(Priority.HIGH), PriorityNotChanged),
        (Task.cancel, InvalidTransition),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_verb_that_waited_for_a_lock_sees_the_other_change(
    late: Verb, error: type[Exception]
) -> None:
    task = TaskFactory()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.get().cancel()
            waiting = pool.submit(call_and_disconnect, lambda: late(task))
            until_requests_wait(connection.connection)
        with pytest.raises(error):
            waiting.result(30)
    assert events() == [event(task, "status", "pending", "cancelled", **BY_THE_SERVICE)]
    assert (Task.objects.get().priority, entries()) == ("medium", {"cancelled": 1})


@pytest.mark.django_db(transaction=True)
def test_event_of_a_verb_that_waited_has_the_current_value_and_time() -> None:
    task = TaskFactory()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.get().change_priority(Priority.LOW)
            waiting = pool.submit(call_and_disconnect, lambda: task.change_priority(Priority.HIGH))
            until_requests_wait(connection.connection)
            # This change happens after the waiting call has started.
            Task.objects.get().change_priority(Priority.CRITICAL)
        waiting.result(30)
    assert [(row["data"]["from"], row["data"]["to"]) for row in events()] == [
        ("medium", "low"),
        ("low", "critical"),
        ("critical", "high"),
    ]
    times = list(Event.objects.values_list("created_at", flat=True))
    assert times == sorted(times)
