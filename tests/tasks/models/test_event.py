"""The table of events: its defaults, its constraints, and its protection against changes."""

import os
import re
import subprocess
import sys
import uuid
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from tasks.changes import EventKind
from tasks.models import Event
from tests.environment import ROOT
from tests.factories import TaskFactory

REFUSED = "events of tasks are never changed or deleted: {} refused"


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.fixture
def event(db: None) -> Event:
    TaskFactory().cancel(actor="ada", reason="the client asked for it")
    return Event.objects.get()


def save_a_changed_object(event: Event) -> None:
    event.reason = "another one"
    event.save()


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("UPDATE", save_a_changed_object),
        ("UPDATE", lambda _: Event.objects.update(actor="bob")),
        ("UPDATE", lambda _: sql("UPDATE task_events SET reason = ''")),
        # An UPDATE is refused even if it matches no row.
        ("UPDATE", lambda _: sql("UPDATE task_events SET reason = '' WHERE false")),
        (
            "UPDATE",
            lambda event: sql(
                "INSERT INTO task_events (id, task_id, kind) VALUES (%s, %s, 'status') "
                "ON CONFLICT (id) DO UPDATE SET reason = ''",
                event.pk,
                event.task_id,
            ),
        ),
        ("DELETE", lambda event: event.delete()),
        ("DELETE", lambda _: Event.objects.all().delete()),
        ("DELETE", lambda _: sql("DELETE FROM task_events")),
    ],
)
def test_database_refuses_to_change_an_event(operation: str, change: Any, event: Event) -> None:
    before = list(Event.objects.values())
    with (
        pytest.raises(IntegrityError, match=REFUSED.format(operation)),
        transaction.atomic(),
    ):
        change(event)
    assert list(Event.objects.values()) == before


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE task_events",
        "TRUNCATE task_events, tasks, task_results, idempotency_keys, runs, budgets, steps, "
        "attempts, calls",
        "TRUNCATE tasks CASCADE",
    ],
)
def test_database_refuses_to_empty_the_table(
    statement: str, service_database: "psycopg.Connection[Any]"
) -> None:
    with (
        pytest.raises(psycopg.IntegrityError, match=REFUSED.format("TRUNCATE")),
        # If the statement succeeds by mistake, other tests must still find their rows.
        service_database.transaction(force_rollback=True),
    ):
        service_database.execute(statement)


def test_operator_can_delete_events_as_documented(
    service_database: "psycopg.Connection[Any]",
) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    [statements] = re.findall(r"^BEGIN;\n.+?^COMMIT;$", text, re.MULTILINE | re.DOTALL)
    [documented] = re.findall(r"task_id = '(.+?)'", statements)
    task_id = uuid.uuid4()
    insert = "INSERT INTO tasks (id, goal) VALUES (%s, 'x')"
    service_database.execute(insert, [task_id])
    insert = "INSERT INTO task_events (task_id, kind) VALUES (%s, 'status')"
    service_database.execute(insert, [task_id])
    service_database.execute(statements.replace(documented, str(task_id)))
    # Fails unless the events are gone.
    service_database.execute("DELETE FROM tasks WHERE id = %s", [task_id])
    with pytest.raises(psycopg.IntegrityError, match=REFUSED.format("DELETE")):
        service_database.execute("DELETE FROM task_events")


def test_task_with_events_cannot_be_deleted(event: Event) -> None:
    # The check is deferred to the end of the transaction.
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        sql("DELETE FROM tasks")


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.django_db
def test_database_accepts_each_kind_of_event(kind: EventKind) -> None:
    Event.objects.create(task=TaskFactory(), kind=kind)


@pytest.mark.django_db
def test_database_refuses_an_unknown_kind_of_event() -> None:
    task = TaskFactory()
    with pytest.raises(IntegrityError, match="task_events_kind_known"):
        Event.objects.create(task=task, kind="goal")


@pytest.mark.django_db
def test_database_refuses_an_unknown_kind_of_actor() -> None:
    task = TaskFactory()
    with pytest.raises(IntegrityError, match="task_events_actor_kind_known"):
        Event.objects.create(task=task, kind="status", actor_kind="gate")


def test_migration_that_adds_the_kind_of_actor_reads_no_rows(
    service_database_url: str,
) -> None:
    """The migration only adds a nullable column and a constraint that is not validated."""
    statements = subprocess.run(
        [sys.executable, "manage.py", "sqlmigrate", "tasks", "0008"],
        cwd=ROOT,
        env=os.environ | {"ORCHESTRATOR_DATABASE_URL": service_database_url},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    [added] = re.findall("ADD COLUMN .*", statements)
    assert added == 'ADD COLUMN "actor_kind" text NULL;'
    assert statements.count("ADD CONSTRAINT") == statements.count("NOT VALID") == 1


@pytest.mark.django_db
def test_plain_insert_of_an_event_gets_every_default() -> None:
    task = TaskFactory()
    sql("INSERT INTO task_events (task_id, kind) VALUES (%s, 'status')", task.pk)
    [row] = Event.objects.values("actor", "reason", "data")
    assert row == {"actor": "", "reason": "", "data": {}}
    assert Event.objects.get().created_at >= task.created_at


@pytest.mark.django_db
def test_index_serves_the_timeline_of_a_task() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_task_events_task_id'"
        )
        assert cursor.fetchone() == (
            "CREATE INDEX idx_task_events_task_id ON public.task_events USING btree (task_id, id)",
        )


def test_event_as_text_describes_the_change(event: Event) -> None:
    assert str(event) == "entered a status: pending → cancelled"
