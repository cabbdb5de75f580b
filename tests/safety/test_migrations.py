"""Receipts of before they named their subjects, while web processes of that version go on."""

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
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from safety.models import Receipt
from tasks.models import Task
from tests.postgresql import until_requests_wait

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tables_of_before")]

BEFORE, COLUMNS, FILLED = (
    "0005_blocked_for_a_reason",
    "0006_receipt_subject",
    # The newest: the model reads all columns.
    "0010_receipts_of_answers",
)
BEFORE_ANSWERS = "0009_receipt_client_index"
ACCEPTED, REFUSED = ("safe", "flagged", "unscreened"), ("blocked", "none")
# What an insert may wait for at most.
SECONDS = 1
# As the version before submits a task, in one statement and under one id.
SUBMIT = """
WITH part_0 AS (
    INSERT INTO receipts (id, verdict, reason, findings, findings_count, types, redacted_types,
        policy_version, reflex_request_id, cache_hit, duration_seconds, client_address, request_id,
        created_at)
    VALUES (%(id)s, %(verdict)s, '', '[]', 0, '[]', '[]', 'v', 'r', false, 0.01, '192.0.2.7',
        'request-1', now())
)
INSERT INTO tasks (id, goal, verdict) VALUES (%(id)s, 'Plan', %(verdict)s)
"""
REFUSE = "INSERT INTO receipts (verdict, reason) VALUES (%(verdict)s, %(reason)s)"
# More than one batch of pages.
MANY = """
WITH receipt AS (
    INSERT INTO receipts (verdict) SELECT 'safe' FROM generate_series(1, 20000)
    RETURNING id, verdict
)
INSERT INTO tasks (id, goal, verdict) SELECT id, 'Plan', verdict FROM receipt
"""
UNNAMED = "SELECT count(*) FROM receipts WHERE subject_id IS NULL"
IS_INDEX_VALID = """
SELECT indisvalid FROM pg_index WHERE indexrelid = 'receipts_one_submission_each'::regclass
"""
ANSWER = """
INSERT INTO receipts (verdict, occasion, subject_id) VALUES (%s, 'answer', gen_random_uuid())
"""
MANY_ANSWERS = """
INSERT INTO receipts (verdict, occasion, subject_id)
SELECT 'safe', 'answer', gen_random_uuid() FROM generate_series(1, 20000)
"""
ARE_CONSTRAINTS_VALID = """
SELECT conname, convalidated FROM pg_constraint
WHERE conname IN ('receipts_occasion_known', 'receipts_subject_known') ORDER BY conname
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'receipts' ORDER BY 1"
AT_ONCE = "SET lock_timeout = 100"
# What waits, as if the machine that migrates had died.
KILL = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
Database = psycopg.Connection[Any]
Migrate = Callable[[], "Future[None]"]


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("safety", name)])


@pytest.fixture
def tables_of_before() -> Iterator[None]:
    migrate(BEFORE)
    yield
    Receipt.objects.all().delete()
    migrate(FILLED)


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
            migrate(FILLED)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as executor:
        yield lambda: executor.submit(run)


def submit(database: Database, verdict: str = "safe") -> uuid.UUID:
    task_id = uuid.uuid4()
    database.execute(SUBMIT, {"id": task_id, "verdict": verdict})
    return task_id


def assert_receipts_name_their_tasks() -> None:
    accepted = Receipt.objects.filter(verdict__in=ACCEPTED)
    named = set(accepted.values_list("subject_id", "verdict"))
    assert named == set(Task.objects.values_list("pk", "verdict"))
    assert accepted.count() == len(named)
    refused = Receipt.objects.filter(verdict__in=REFUSED)
    assert set(refused.values_list("subject_id", flat=True)) <= {None}
    assert set(Receipt.objects.values_list("occasion", flat=True)) == {"submission"}


def test_receipts_of_each_verdict_are_filled(database: Database) -> None:
    tasks = {verdict: submit(database, verdict) for verdict in ACCEPTED}
    for verdict, reason in (("blocked", ""), ("blocked", "too many findings"), ("none", "late")):
        database.execute(REFUSE, {"verdict": verdict, "reason": reason})
    migrate(FILLED)
    for verdict, task_id in tasks.items():
        receipt = Task.objects.get(pk=task_id).receipt
        assert receipt is not None
        assert (receipt.verdict, receipt.request_id) == (verdict, "request-1")
    assert set(Receipt.objects.subject_ids_with_request_id("request-1")) == set(tasks.values())
    assert Receipt.objects.filter(subject_id=None).count() == 3
    assert_receipts_name_their_tasks()


def test_filling_again_changes_nothing(database: Database) -> None:
    for verdict in ACCEPTED:
        submit(database, verdict)
    rows = "SELECT *, xmin::text FROM receipts ORDER BY id"
    migrate(FILLED)
    once = database.execute(rows).fetchall()
    migrate(COLUMNS)
    migrate(FILLED)
    assert database.execute(rows).fetchall() == once


def test_the_version_before_submits_meanwhile(database: Database, migrate_aside: Migrate) -> None:
    database.execute(MANY)
    is_over = threading.Event()

    def go_on() -> list[float]:
        waits = []
        with connect() as client:
            for verdict in itertools.cycle(ACCEPTED):
                began_at = time.monotonic()
                submit(client, verdict)
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
    submit(database)
    assert Task.objects.count() == 20_000 + len(waits) + 1
    assert max(waits) < SECONDS
    assert_receipts_name_their_tasks()


def test_filling_goes_in_batches_stops_no_insert_and_is_taken_up_again(
    database: Database, migrate_aside: Migrate
) -> None:
    database.execute(MANY)
    migrate(COLUMNS)
    with connect() as other, other.transaction():
        # One row of the last batch.
        other.execute(
            "SELECT FROM receipts WHERE ctid = (SELECT max(ctid) FROM receipts) FOR UPDATE"
        )
        filling = migrate_aside()
        until_requests_wait(database)
        [(unnamed,)] = database.execute(UNNAMED).fetchall()
        assert 0 < unnamed < 20_000
        # In the middle of the batch, with all that it has locked.
        database.execute(AT_ONCE)
        submit(database)
        database.execute(KILL)
        with pytest.raises(OperationalError):
            filling.result()
        assert database.execute(UNNAMED).fetchall() == [(unnamed,)]
    migrate(FILLED)
    assert_receipts_name_their_tasks()


def test_an_index_that_was_left_unfinished_is_made_anew(
    database: Database, migrate_aside: Migrate
) -> None:
    submit(database)
    with connect() as reader, reader.transaction():
        # What this one can see, the index has to wait for.
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT")
        making = migrate_aside()
        until_requests_wait(database)
        database.execute(AT_ONCE)
        submit(database)
        database.execute(KILL)
        with pytest.raises(OperationalError):
            making.result()
    assert database.execute(IS_INDEX_VALID).fetchall() == [(False,)]
    migrate(FILLED)
    assert database.execute(IS_INDEX_VALID).fetchall() == [(True,)]
    assert_receipts_name_their_tasks()


def test_new_columns_wait_for_a_long_query_and_let_inserts_pass(
    database: Database, migrate_aside: Migrate
) -> None:
    with connect() as reader, reader.transaction():
        # As a dump does, for as long as it takes.
        reader.execute("SELECT FROM receipts")
        migration = migrate_aside()
        for _ in range(2):
            until_requests_wait(database)
            # Fails after `SECONDS`.
            submit(database)
        assert not migration.done()
    migration.result()
    assert_receipts_name_their_tasks()


def test_the_receipt_of_a_task_is_found_by_the_index_of_its_constraint(database: Database) -> None:
    database.execute(MANY)
    migrate(FILLED)
    database.execute("ANALYZE receipts")
    plan = Receipt.objects.of_submission(uuid.uuid4()).explain()
    assert "Index Scan using receipts_one_submission_each" in plan


def test_the_way_back_gives_receipts_the_ids_of_their_tasks(database: Database) -> None:
    migrate(FILLED)
    task = Task.objects.create(goal="Plan")
    Receipt.objects.create(verdict="safe", subject_id=task.pk)
    migrate(BEFORE)
    assert database.execute("SELECT id FROM receipts").fetchall() == [(task.pk,)]


def test_answers_are_allowed_and_old_rows_are_checked(database: Database) -> None:
    database.execute(MANY)
    migrate(BEFORE_ANSWERS)
    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute(ANSWER, ["safe"])
    migrate(FILLED)
    for verdict in (*ACCEPTED, "blocked"):
        database.execute(ANSWER, [verdict])
    assert database.execute(ARE_CONSTRAINTS_VALID).fetchall() == [
        ("receipts_occasion_known", True),
        ("receipts_subject_known", True),
    ]


def test_answers_wait_for_a_long_query_only_for_a_short_time(
    database: Database, migrate_aside: Migrate
) -> None:
    submit(database)
    migrate(BEFORE_ANSWERS)
    with connect() as reader, reader.transaction():
        # As a dump does, for as long as it takes.
        reader.execute("SELECT FROM receipts")
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate_aside().result()
        submit(database)
        with pytest.raises(psycopg.errors.CheckViolation):
            database.execute(ANSWER, ["safe"])
    migrate(FILLED)
    database.execute(ANSWER, ["safe"])
    submit(database)


def test_submissions_go_on_while_indexes_for_answers_are_made(
    database: Database, migrate_aside: Migrate
) -> None:
    submit(database)
    migrate(BEFORE_ANSWERS)
    with connect() as reader, reader.transaction():
        # What this one can see, an index has to wait for.
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT")
        making = migrate_aside()
        until_requests_wait(database)
        database.execute(AT_ONCE)
        submit(database)
        # The dashboard needs it.
        assert "idx_receipts_created_at" in dict(database.execute(INDEXES).fetchall())
        database.execute(KILL)
        with pytest.raises(OperationalError):
            making.result()
    migrate(FILLED)
    indexes = dict(database.execute(INDEXES).fetchall())
    assert "(verdict, occasion)" in indexes["idx_receipts_created_at"]
    assert not [name for name in indexes if name.endswith("_new")]


def test_answers_are_listed_by_an_index_even_if_there_are_none(database: Database) -> None:
    database.execute(MANY)
    migrate(FILLED)
    database.execute("ANALYZE receipts")
    of_all = Receipt.objects.filter(occasion="answer").order_by("-created_at")[:100]
    assert "using idx_receipts_answers on" in of_all.explain()
    database.execute(MANY_ANSWERS)
    database.execute("ANALYZE receipts")
    of_one = Receipt.objects.of_answers(uuid.uuid4())
    assert "using idx_receipts_answers_of on" in of_one.explain()


def test_the_way_back_forgets_answers_and_keeps_submissions(database: Database) -> None:
    migrate(BEFORE_ANSWERS)
    before = database.execute(INDEXES).fetchall()
    migrate(FILLED)
    task_id = submit(database)
    database.execute(ANSWER, ["blocked"])
    migrate(BEFORE_ANSWERS)
    assert database.execute("SELECT subject_id FROM receipts").fetchall() == [(task_id,)]
    assert database.execute(INDEXES).fetchall() == before
    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute(ANSWER, ["safe"])
