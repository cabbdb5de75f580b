"""The tables of tasks and results in PostgreSQL, and the queries on them."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import Error as DatabaseError
from django.db import connection, transaction

from tasks.models import Task, TaskResult
from tasks.models import task as task_module
from tasks.states import Priority, Status, TaskVerdict
from tests.factories import TaskFactory, TaskResultFactory
from tests.tasks.api.specified import DEFAULTS

pytestmark = pytest.mark.django_db

# Name, type and whether NULL is allowed. Of these, only `assigned_arm` is nullable.
TASK_COLUMNS = [
    ("id", "uuid", "NO"),
    ("goal", "text", "NO"),
    ("status", "text", "NO"),
    ("priority", "text", "NO"),
    ("constraints", "jsonb", "NO"),
    ("context", "jsonb", "NO"),
    ("acceptance_criteria", "jsonb", "NO"),
    ("task_metadata", "jsonb", "NO"),
    ("assigned_arm", "text", "YES"),
    ("max_cost_usd", "numeric(12,4)", "NO"),
    ("max_time_seconds", "integer", "NO"),
    ("max_tokens", "integer", "NO"),
    ("created_at", "timestamp with time zone", "NO"),
    ("updated_at", "timestamp with time zone", "NO"),
]
RESULT_COLUMNS = [
    ("id", "uuid", "NO"),
    ("task_id", "uuid", "NO"),
    ("result_data", "jsonb", "NO"),
    ("confidence", "numeric(5,4)", "NO"),
    ("created_at", "timestamp with time zone", "NO"),
]


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run plain SQL, which bypasses all checks in Python."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def columns_of(table: str) -> list[tuple[Any, ...]]:
    return sql(
        """
        SELECT attname, format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END
        FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        """,
        table,
    )


@pytest.mark.parametrize("column", TASK_COLUMNS, ids=[name for name, _, _ in TASK_COLUMNS])
def test_table_tasks_has_the_column(column: tuple[str, str, str]) -> None:
    assert column in columns_of("tasks")


@pytest.mark.parametrize("column", RESULT_COLUMNS, ids=[name for name, _, _ in RESULT_COLUMNS])
def test_table_task_results_has_the_column(column: tuple[str, str, str]) -> None:
    assert column in columns_of("task_results")


def test_no_other_column_is_nullable() -> None:
    nullable = {
        (table, name)
        for table in ("tasks", "task_results")
        for name, _, is_nullable in columns_of(table)
        if is_nullable == "YES"
    }
    # Django makes generated columns nullable. These words come from a goal, so they are not NULL.
    assert nullable == {
        ("tasks", "assigned_arm"),
        ("tasks", "client_id"),
        ("tasks", "goal_words"),
    }


@pytest.mark.parametrize("table", ["tasks", "task_results"])
def test_id_is_the_primary_key(table: str) -> None:
    keys = sql(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %s::regclass AND contype = 'p'",
        table,
    )
    assert keys == [("PRIMARY KEY (id)",)]


def test_task_id_of_a_result_is_a_foreign_key() -> None:
    [(definition,)] = sql(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'task_results'::regclass AND contype = 'f'"
    )
    assert definition.startswith("FOREIGN KEY (task_id) REFERENCES tasks(id)")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("idx_tasks_status", "tasks USING btree (status)"),
        ("idx_tasks_created_at", "tasks USING btree (created_at)"),
        ("idx_tasks_status_created_at", "tasks USING btree (status, created_at)"),
        ("idx_tasks_verdict", "tasks USING btree (verdict, created_at)"),
        ("idx_tasks_priority", "tasks USING btree (priority, created_at)"),
        (
            "idx_tasks_arm",
            "tasks USING btree (assigned_arm, created_at) WHERE (assigned_arm IS NOT NULL)",
        ),
        ("idx_tasks_goal_words", "tasks USING gin (goal_words)"),
        ("idx_task_results_task_id", "task_results USING btree (task_id)"),
    ],
)
def test_index_has_its_columns(name: str, columns: str) -> None:
    assert sql("SELECT indexdef FROM pg_indexes WHERE indexname = %s", name) == [
        (f"CREATE INDEX {name} ON public.{columns}",)
    ]


def test_plain_insert_of_a_goal_gets_every_default() -> None:
    before = datetime.now(UTC)
    sql("INSERT INTO tasks (goal) VALUES ('x')")
    [row] = Task.objects.values()
    assert isinstance(row.pop("id"), uuid.UUID)
    created_at, updated_at = row.pop("created_at"), row.pop("updated_at")
    # The test and PostgreSQL use the clock of the same machine, so a minute is generous.
    assert before - timedelta(minutes=1) < created_at < before + timedelta(minutes=1)
    assert updated_at == created_at
    assert row == DEFAULTS | {
        "goal": "x",
        "verdict": "unscreened",
        "client_id": None,
        "goal_words": "'x':1",
        "has_result": False,
    }


@pytest.mark.parametrize("column", DEFAULTS)
def test_a_column_has_its_default_in_the_database(column: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO tasks (goal) VALUES ('x')")
    assert Task.objects.values_list(column, flat=True).get() == DEFAULTS[column]


def test_plain_inserts_get_different_ids() -> None:
    sql("INSERT INTO tasks (goal) VALUES ('x'), ('y')")
    assert len(set(Task.objects.values_list("id", flat=True))) == 2


def test_plain_insert_of_a_result_gets_id_and_time() -> None:
    task = TaskFactory()
    sql(
        "INSERT INTO task_results (task_id, result_data, confidence) VALUES (%s, '1', 0.5)",
        task.pk,
    )
    result = TaskResult.objects.get()
    assert isinstance(result.pk, uuid.UUID)
    assert result.created_at >= task.created_at


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "'done'"),
        ("status", "'Pending'"),
        ("status", "''"),
        ("priority", "'urgent'"),
        ("verdict", "'green'"),
        # A blocked submission is never a task.
        ("verdict", "'blocked'"),
        ("max_cost_usd", "-0.0001"),
        # PostgreSQL's numeric type accepts NaN, and sorts it above all numbers.
        ("max_cost_usd", "'NaN'"),
        ("max_cost_usd", "'Infinity'"),
        ("max_cost_usd", "100000000"),
        ("max_time_seconds", "-1"),
        ("max_time_seconds", "2147483648"),
        ("max_tokens", "-1"),
        ("max_tokens", "2147483648"),
    ],
)
def test_database_refuses_an_invalid_value_in_tasks(column: str, value: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        sql(f"INSERT INTO tasks (goal, {column}) VALUES ('x', {value})")


@pytest.mark.parametrize("column", [name for name, _, null in TASK_COLUMNS if null == "NO"])
def test_database_refuses_null_in_tasks(column: str) -> None:
    TaskFactory()
    with pytest.raises(DatabaseError, match="not-null"), transaction.atomic():
        sql(f"UPDATE tasks SET {column} = NULL")


@pytest.mark.parametrize("confidence", ["-0.0001", "1.0001", "'NaN'", "2", "10", "NULL"])
def test_database_refuses_an_invalid_confidence(confidence: str) -> None:
    task = TaskFactory()
    with pytest.raises(DatabaseError), transaction.atomic():
        sql(
            "INSERT INTO task_results (task_id, result_data, confidence) "
            f"VALUES (%s, '1', {confidence})",
            task.pk,
        )


@pytest.mark.parametrize("confidence", ["0", "1", "0.1234"])
def test_database_accepts_a_valid_confidence(confidence: str) -> None:
    result = TaskResultFactory(confidence=Decimal(confidence))
    result.refresh_from_db()
    assert result.confidence == Decimal(confidence)


def test_database_refuses_a_result_without_its_task() -> None:
    TaskResultFactory()
    # The check is deferred to the end of the transaction.
    sql("DELETE FROM tasks")
    with pytest.raises(DatabaseError, match="foreign key"), transaction.atomic():
        sql("SET CONSTRAINTS ALL IMMEDIATE")
    transaction.set_rollback(True)


def test_enums_have_the_specified_values() -> None:
    assert Status.values == ["pending", "processing", "completed", "failed", "cancelled"]
    assert Priority.values == ["low", "medium", "high", "critical"]
    assert TaskVerdict.values == ["safe", "flagged", "unscreened"]


def test_count_by_status_is_exact() -> None:
    TaskFactory.create_batch(3)
    TaskFactory.create_batch(2, failed=True)
    assert Task.objects.count_by_status() == {
        Status.PENDING: 3,
        Status.PROCESSING: 0,
        Status.COMPLETED: 0,
        Status.FAILED: 2,
        Status.CANCELLED: 0,
    }


def test_count_by_status_is_exact_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "EXACT_COUNT_LIMIT", 3)
    TaskFactory.create_batch(3)
    assert Task.objects.count_by_status()[Status.PENDING] == 3


def test_count_by_status_estimates_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "EXACT_COUNT_LIMIT", 3)
    TaskFactory.create_batch(60)
    TaskFactory.create_batch(20, completed=True)
    TaskFactory.create_batch(2, failed=True)
    sql("ANALYZE tasks")
    # With so few rows, ANALYZE samples all of them; rounding may change a count by one.
    assert Task.objects.count_by_status() == {
        Status.PENDING: pytest.approx(60, abs=1),
        Status.PROCESSING: 0,
        Status.COMPLETED: pytest.approx(20, abs=1),
        Status.FAILED: 2,
        Status.CANCELLED: 0,
    }


def test_count_by_status_without_statistics_is_one_above_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_module, "EXACT_COUNT_LIMIT", 3)
    TaskFactory.create_batch(9)
    # Autovacuum may have looked at the table during another test.
    sql("DELETE FROM pg_statistic WHERE starelid = 'tasks'::regclass")
    assert Task.objects.count_by_status()[Status.PENDING] == 4


def test_tasks_are_listed_newest_first() -> None:
    now = datetime.now(UTC)
    old, new = (TaskFactory(created_at=now - timedelta(hours=hours)) for hours in (2, 1))
    assert list(Task.objects.all()) == [new, old]


def test_task_and_result_as_text_are_their_ids() -> None:
    result = TaskResultFactory()
    assert (str(result), str(result.task)) == (str(result.pk), str(result.task.pk))


def test_task_knows_whether_it_has_a_result() -> None:
    task, other = TaskFactory.create_batch(2)
    first, second = TaskResultFactory.create_batch(2, task=task)
    assert set(Task.objects.with_result()) == {task}
    assert set(Task.objects.without_result()) == {other}
    first.delete()
    assert set(Task.objects.with_result()) == {task}
    second.delete()
    assert set(Task.objects.without_result()) == {task, other}
