"""Tasks of before there were workers, while web processes of that version go on."""

import itertools
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client as Browser

from tasks.execution.bells import rank
from tasks.execution.releasing import release
from tasks.execution.worker.recovery import Reconciler
from tasks.models import Budget, Client, Event, Run, Step, Task
from tasks.states import Priority, Status
from tests.factories import TaskFactory
from tests.postgresql import until_requests_wait
from tests.tasks.jobs import carries_out, jobs
from tests.tasks.lives import NOON

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tables_of_before")]

BEFORE, TABLES, PARKED = "0013_client_permissions", "0015_execution", "0016_jobs"
# What an insert may wait for at most: the migration gives up after 2 s.
SECONDS = 3
# As the version before submits a task, in one statement.
SUBMIT = """
WITH part_0 AS (
    INSERT INTO receipts (id, verdict, subject_id, occasion, request_id)
    VALUES (gen_random_uuid(), 'safe', %(id)s, 'submission', 'request-1')
)
INSERT INTO tasks (id, goal, priority, verdict) VALUES (%(id)s, 'Plan', %(priority)s, 'safe')
"""
# As the version before cancels a task.
CANCEL = """
WITH changed AS (
    UPDATE tasks SET status = 'cancelled', updated_at = clock_timestamp()
    WHERE id = %(id)s AND status IN ('pending', 'processing') RETURNING id
)
INSERT INTO task_events (task_id, kind, actor_kind, data)
SELECT id, 'status', 'client', '{"from": "pending", "to": "cancelled"}' FROM changed
"""
MANY = """
WITH task AS (
    INSERT INTO tasks (goal, verdict) SELECT 'Plan', 'safe' FROM generate_series(1, 20000)
    RETURNING id
)
INSERT INTO receipts (verdict, subject_id) SELECT 'safe', id FROM task
"""
Database = psycopg.Connection[Any]
Migrate = Callable[[], "Future[None]"]


def migrate(name: str | None = None) -> None:
    """Migrate to a version, by default to the newest."""
    executor = MigrationExecutor(connection)
    targets = [("tasks", name)] if name else executor.loader.graph.leaf_nodes("tasks")
    executor.migrate(targets)


@pytest.fixture
def tables_of_before() -> Iterator[None]:
    migrate(BEFORE)
    yield
    with connection.cursor() as cursor:
        # Events of new kinds would not fit into the table of before.
        cursor.execute("TRUNCATE tasks CASCADE")
    migrate()


def connect() -> Database:
    """Return a connection of the test's own, on which nothing waits for long."""
    name = connection.settings_dict["NAME"]
    url = os.environ["ORCHESTRATOR_DATABASE_URL"].replace("/postgres?", f"/{name}?")
    options = f"-c lock_timeout={SECONDS}s"
    return psycopg.connect(url, autocommit=True, options=options)


@pytest.fixture
def database() -> Iterator[Database]:
    with connect() as database:
        yield database


@pytest.fixture
def migrate_aside() -> Iterator[Migrate]:
    """Migrate in another thread."""

    def run() -> None:
        try:
            migrate()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as executor:
        yield lambda: executor.submit(run)


def submit(database: Database, priority: str = "medium") -> uuid.UUID:
    task_id = uuid.uuid4()
    database.execute(SUBMIT, {"id": task_id, "priority": priority})
    return task_id


@pytest.fixture
def owner() -> Client:
    """A client with the columns of before."""
    client = Client(name="owner")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO clients (id, name) VALUES (%s, %s)", [client.pk, client.name])
    return client


# Tasks that are pending


@pytest.mark.parametrize("arm", [None, "executor"])
@pytest.mark.parametrize("priority", Priority)
def test_a_pending_task_waits_for_its_release(
    priority: Priority, arm: str | None, owner: Client
) -> None:
    task = TaskFactory(
        client=owner, priority=priority, created_at=NOON, assigned_arm=arm, max_tokens=7
    )
    before = Task.objects.values().get()
    migrate()
    run = Run.objects.get()
    assert (run.task_id, run.number, run.pinned_arm, run.started_at, run.ended_at) == (
        task.pk,
        1,
        arm,
        None,
        None,
    )
    budget = Budget.objects.get()
    assert (budget.run_id, budget.day) == (run.pk, None)
    assert (budget.max_tokens, budget.max_cost_usd) == (7, task.max_cost_usd)
    assert (budget.reserved_usd, budget.spent_usd) == (0, 0)
    step = Step.objects.get()
    assert (step.task_id, step.run_id, step.client_id) == (task.pk, run.pk, owner.pk)
    assert (step.state, step.waits_for, step.waits_at) == ("ready", "release", arm or "")
    assert (step.capability, step.revision, step.number) == ("execute", 1, 1)
    assert step.rank == rank(priority, NOON, is_anonymous=False)
    assert step.parked_at is not None
    assert Task.objects.values().get() == before


@pytest.mark.parametrize("priority", ["low", "medium"])
def test_a_parked_task_without_a_client_has_its_place_in_line(priority: Priority) -> None:
    TaskFactory(priority=priority, created_at=NOON)
    migrate()
    step = Step.objects.get()
    assert (step.rank, step.client_id) == (rank(priority, NOON, is_anonymous=True), None)


@pytest.mark.parametrize("priority", ["high", "critical"])
def test_a_parked_task_without_a_client_weighs_at_most_as_a_medium_one(priority: Priority) -> None:
    TaskFactory(priority=priority, created_at=NOON)
    migrate()
    assert Step.objects.get().rank == rank(priority, NOON, is_anonymous=True)


def test_a_task_that_is_processing_is_parked_as_well() -> None:
    """Nobody works on it: there were no workers."""
    task = TaskFactory(status=Status.PROCESSING)
    migrate()
    assert Step.objects.get(waits_for="release").task_id == task.pk
    assert Task.objects.get().status == "processing"


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_a_task_that_has_ended_stays_as_it_is(status: Status) -> None:
    task = TaskFactory(status=status)
    before = Task.objects.values().get(pk=task.pk)
    migrate()
    assert Task.objects.values().get() == before
    assert not Run.objects.exists()
    assert not Step.objects.exists()


def test_parked_tasks_ring_nobody_until_they_are_released(owner: Client, client: Browser) -> None:
    task, other = TaskFactory(client=owner), TaskFactory()
    Task.objects.update(created_at=NOON)
    migrate()
    reconciler = Reconciler()
    for now in range(0, 60, 5):
        reconciler.reconcile(now=now)
    assert jobs() == []
    progress = client.get(f"/tasks/{other.pk}").json()["progress"]
    assert (progress["waits_for"], progress["detail"], progress["step"]) == (
        "release",
        "It waits until staff release it.",
        1,
    )
    assert release([task.pk], actor="ada", reason="still wanted") == {task.pk}
    assert jobs() == [carries_out(Step.objects.get(task=task))]
    assert list(Event.objects.values_list("task", "kind", "actor", "reason")) == [
        (task.pk, "release", "ada", "still wanted")
    ]


def test_parked_tasks_can_be_cancelled() -> None:
    task = TaskFactory()
    migrate()
    task.cancel()
    assert Step.objects.get().state == "cancelled"
    assert Run.objects.get().ended_at is not None


# While it runs


def test_the_version_before_submits_meanwhile(database: Database, migrate_aside: Migrate) -> None:
    database.execute(MANY)
    is_over = threading.Event()

    def go_on() -> list[float]:
        waits = []
        with connect() as client:
            for priority in itertools.cycle(Priority.values):
                began_at = time.monotonic()
                submit(client, priority)
                waits.append(time.monotonic() - began_at)
                if is_over.is_set():
                    return waits

    with ThreadPoolExecutor(1) as executor:
        submissions = executor.submit(go_on)
        try:
            migrate_aside().result()
        finally:
            is_over.set()
        waits = submissions.result()
    late = submit(database)
    assert max(waits) < SECONDS
    assert Task.objects.filter(status="pending").count() == 20_000 + len(waits) + 1
    # Of what came in before the tasks were parked, everything is parked.
    parked = Step.objects.filter(waits_for="release")
    assert 20_000 <= parked.count() <= 20_000 + len(waits)
    assert not parked.filter(task_id=late).exists()


def test_a_change_and_the_migration_do_not_wait_for_each_other(
    database: Database, migrate_aside: Migrate
) -> None:
    """A prepared statement locks the table of events before that of tasks."""
    task_id = submit(database)
    with connect() as client, client.transaction():
        client.execute("LOCK TABLE task_events IN ROW EXCLUSIVE MODE")
        migration = migrate_aside()
        until_requests_wait(database)
        client.execute(CANCEL, {"id": task_id})
    migration.result()
    assert Task.objects.get().status == "cancelled"


def test_a_task_that_the_version_before_submits_afterwards_is_found(database: Database) -> None:
    migrate()
    task_id = submit(database)
    # Workers look for tasks without a job that are older than a moment.
    Task.objects.update(created_at=NOON)
    reconciler = Reconciler()
    reconciler.reconcile(now=0)
    [job] = jobs()
    assert (job["name"], job["queueing_lock"]) == ("begin", str(task_id))


@pytest.mark.parametrize("table", ["tasks", "task_events"])
def test_a_long_query_stops_submissions_for_a_short_time_only(
    table: str, database: Database, migrate_aside: Migrate
) -> None:
    submit(database)
    with connect() as reader, reader.transaction():
        # As a dump does, for as long as it takes.
        reader.execute(f"SELECT FROM {table}")
        migration = migrate_aside()
        if table == "task_events":
            until_requests_wait(database)
            # Fails after `SECONDS`.
            submit(database)
            with pytest.raises(OperationalError, match="lock timeout"):
                migration.result()
        else:
            migration.result()
            submit(database)
    migrate()
    submit(database)
    # The one after the migration waits for nobody.
    assert Step.objects.count() == (2 if table == "task_events" else 1)


# What else it does


def test_roles_get_the_permissions_of_the_new_pages() -> None:
    for role in Group.objects.all():
        role.permissions.remove(
            *Permission.objects.filter(codename__in=["view_arm", "manage_arms", "view_worker"])
        )
    migrate()
    given = {
        role.name: set(
            role.permissions.filter(
                codename__in=["view_arm", "manage_arms", "view_worker"]
            ).values_list("codename", flat=True)
        )
        for role in Group.objects.all()
    }
    assert {name: codenames for name, codenames in given.items() if codenames} == {
        "Operator": {"view_arm", "view_worker"},
        "Admin": {"view_arm", "manage_arms", "view_worker"},
    }


def test_the_way_back_keeps_tasks_and_their_events(database: Database) -> None:
    task_id = submit(database)
    migrate()
    Task.objects.change_priority([task_id], Priority.HIGH)
    migrate(BEFORE)
    assert Task.objects.get().priority == "high"
    assert Event.objects.get().kind == "priority"
    tables = connection.introspection.table_names()
    assert not {"runs", "steps", "attempts", "calls", "arms", "workers", "counts"} & set(tables)
    submit(database)
    migrate()
    assert Step.objects.count() == 2


def test_a_long_query_stops_requests_with_a_key_for_a_short_time_only(
    database: Database, migrate_aside: Migrate
) -> None:
    with connect() as reader, reader.transaction():
        reader.execute("SELECT FROM clients")
        migration = migrate_aside()
        until_requests_wait(database)
        # Fails after `SECONDS`.
        database.execute("SELECT FROM clients")
        with pytest.raises(OperationalError, match="lock timeout"):
            migration.result()
    migrate()
