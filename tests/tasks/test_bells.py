"""The bells of tasks: who goes first, and the jobs that follow what clients and staff do."""

import os
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction

from tasks.execution import bells
from tasks.execution.bells import rank
from tasks.execution.ringing import ring_action, ring_check
from tasks.models import Step, Task
from tasks.states import Priority, StepState, WaitsFor
from tests.factories import ClientFactory, TaskFactory
from tests.tasks.actions import confirmed
from tests.tasks.jobs import ONE_JOB, begins, carries_out, jobs
from tests.tasks.lives import NOON, end, processing, run_of, step_of

HOUR = timedelta(hours=1)


def ring(step: Step) -> None:
    with connection.cursor() as cursor:
        statement = "SELECT id, rank FROM steps WHERE id = %s"
        cursor.execute(bells.ring_steps(statement), [step.pk])


def fetch_all() -> None:
    """Let workers fetch all jobs, and go on with them."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")


# The place in line


@pytest.mark.parametrize(
    ("priority", "is_anonymous", "seconds"),
    [
        ("critical", False, 86_400),
        ("high", False, 3_600),
        ("medium", False, 0),
        ("low", False, -3_600),
        # Without a key, a task weighs at most as much as a medium one.
        ("critical", True, 0),
        ("high", True, 0),
        ("medium", True, 0),
        ("low", True, -3_600),
    ],
)
def test_rank_is_a_head_start_before_the_time_of_submission(
    priority: str, is_anonymous: bool, seconds: int
) -> None:
    moment = datetime(2026, 1, 1, 0, 0, 10, 999_999, tzinfo=UTC)
    assert rank(priority, moment, is_anonymous=is_anonymous) == seconds - 10


def test_every_priority_has_a_head_start() -> None:
    assert bells.HEAD_START_SECONDS.keys() == set(Priority)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Priorities and hours of submission.
        (("medium", 0), ("medium", 1)),
        (("high", 0), ("medium", 0)),
        (("high", 2), ("medium", 2.5)),
        (("high", 2), ("medium", 1.5)),
        # A head start is bounded, so that no task waits forever.
        (("medium", 0), ("high", 1.5)),
        (("low", 0), ("medium", 1.5)),
        (("low", 0), ("critical", 26)),
        (("critical", 23), ("medium", 0)),
    ],
)
def test_the_higher_rank_goes_first(first: tuple[str, float], second: tuple[str, float]) -> None:
    ranks = [
        rank(priority, NOON + hours * HOUR, is_anonymous=False)
        for priority, hours in (first, second)
    ]
    assert ranks[0] > ranks[1]


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("has_client", [True, False])
@pytest.mark.django_db
def test_statements_know_the_same_rank(priority: Priority, has_client: bool) -> None:
    client = ClientFactory() if has_client else None
    moments = [
        # Parts of a second are cut off towards the same side, before the origin too.
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=offset)
        for offset in (-1_500_000, -1, 0, 1, 999_999, 1_000_000)
    ]
    moments += [datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), NOON, NOON + 9_000 * HOUR]
    tasks = [
        TaskFactory(failed=True, priority=priority, client=client, created_at=moment)
        for moment in moments
    ]
    Task.objects.requeue([task.pk for task in tasks])
    assert sorted(jobs(), key=str) == sorted(map(begins, tasks), key=str)


# Requeues


@pytest.mark.django_db
def test_requeued_tasks_ring() -> None:
    tasks = [
        TaskFactory(failed=True, priority=priority, client=ClientFactory())
        for priority in ("low", "critical")
    ]
    end(run_of(tasks[0]))
    Task.objects.update(status="failed")
    # These cannot be requeued.
    others = [TaskFactory(completed=True).pk, TaskFactory().pk]
    Task.objects.requeue([*others, *(task.pk for task in tasks)])
    assert jobs() == [begins(tasks[1]), begins(tasks[0])]


@pytest.mark.django_db
def test_a_bell_that_rings_already_rings_once() -> None:
    task = TaskFactory(failed=True)
    task.requeue()
    [job] = jobs()
    Task.objects.update(status="failed")
    task.requeue()
    assert jobs() == [job]


@pytest.mark.django_db
def test_a_job_that_a_worker_has_does_not_keep_the_bell_from_ringing() -> None:
    task = TaskFactory(failed=True)
    task.requeue()
    fetch_all()
    Task.objects.update(status="failed")
    task.requeue()
    assert sorted(job["status"] for job in jobs()) == ["doing", "todo"]


@pytest.mark.django_db(transaction=True)
def test_without_the_requeue_there_is_no_bell() -> None:
    task = TaskFactory(failed=True)
    with transaction.atomic():
        task.requeue()
        assert len(jobs()) == 1
        transaction.set_rollback(True)
    assert (jobs(), Task.objects.get().status) == ([], "failed")


# Changes of priority


@pytest.mark.django_db
def test_a_change_of_priority_moves_the_task_in_line() -> None:
    tasks = [
        TaskFactory(client=ClientFactory(), failed=True, created_at=NOON + minutes * HOUR / 60)
        for minutes in range(3)
    ]
    Task.objects.requeue([task.pk for task in tasks])
    Task.objects.change_priority([tasks[2].pk, tasks[1].pk], Priority.HIGH)
    for task in tasks:
        task.refresh_from_db()
    assert jobs() == [begins(tasks[1]), begins(tasks[2]), begins(tasks[0])]


@pytest.mark.django_db
def test_a_change_of_priority_moves_the_step_of_a_parked_task() -> None:
    task = TaskFactory(client=ClientFactory())
    # It was rung just now, since there is room.
    step, other = (step_of(run_of(one), waits_for=WaitsFor.ROOM) for one in (task, TaskFactory()))
    for one in (step, other):
        ring(one)
    task.change_priority(Priority.CRITICAL)
    step.refresh_from_db()
    assert step.rank == rank("critical", task.created_at, is_anonymous=False)
    assert sorted(jobs(), key=str) == sorted([carries_out(step), carries_out(other)], key=str)


@pytest.mark.django_db
def test_a_change_of_priority_leaves_jobs_that_workers_have() -> None:
    task = TaskFactory(failed=True, client=ClientFactory())
    task.requeue()
    fetch_all()
    before = jobs()
    task.change_priority(Priority.HIGH)
    assert jobs() == before


@pytest.mark.django_db
def test_a_change_of_priority_leaves_steps_of_earlier_runs() -> None:
    task = TaskFactory(client=ClientFactory())
    first = run_of(task)
    old = step_of(first, state=StepState.FAILED, ended_at=NOON)
    end(first)
    Task.objects.update(status="pending")
    step_of(run_of(task, number=2), waits_for=WaitsFor.ARM)
    task.change_priority(Priority.HIGH)
    assert Step.objects.get(pk=old.pk).rank == 0
    assert Step.objects.exclude(pk=old.pk).get().rank != 0


@pytest.mark.django_db(transaction=True)
def test_a_place_in_line_changes_with_the_priority_or_not_at_all() -> None:
    task = TaskFactory(failed=True, client=ClientFactory())
    task.requeue()
    before = jobs()
    with transaction.atomic():
        task.change_priority(Priority.HIGH)
        assert jobs() != before
        transaction.set_rollback(True)
    assert (jobs(), Task.objects.get().priority) == (before, "medium")


@pytest.mark.django_db
def test_an_anonymous_task_does_not_pass_others_by_its_priority() -> None:
    task = TaskFactory(failed=True)
    task.requeue()
    before = jobs()
    task.change_priority(Priority.CRITICAL)
    assert jobs() == before


# Cancels


@pytest.mark.django_db
def test_a_cancel_ends_what_a_worker_does_and_rings_nobody() -> None:
    task, other = TaskFactory(), TaskFactory()
    call, going_on = processing(task), processing(other)
    task.cancel()
    call.refresh_from_db()
    attempt, step = call.attempt, call.attempt.step
    assert (attempt.outcome, step.state, step.request) == ("cancelled", "cancelled", None)
    assert (call.outcome, call.tokens, call.cost_usd, call.is_estimated) == (
        "unknown",
        100,
        1,
        True,
    )
    assert None not in (step.run.ended_at, attempt.ended_at, call.ended_at)
    assert step.run.failure_code is None
    budget = step.run.budget
    assert (budget.reserved_tokens, budget.spent_tokens, budget.is_estimated) == (0, 100, True)
    assert (budget.reserved_usd, budget.spent_usd) == (0, 1)
    assert jobs() == []
    going_on.refresh_from_db()
    assert (going_on.outcome, going_on.attempt.outcome) == (None, None)
    assert going_on.attempt.step.run.budget.reserved_tokens == 100


@pytest.mark.django_db
def test_a_cancel_ends_the_wait_of_a_parked_task() -> None:
    task = TaskFactory()
    step = step_of(run_of(task), waits_for=WaitsFor.RELEASE)
    task.cancel()
    step.refresh_from_db()
    assert (step.state, step.waits_for, step.parked_at) == ("cancelled", None, None)
    assert step.run.ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_run_ends_with_the_cancel_or_not_at_all() -> None:
    task = TaskFactory()
    call = processing(task)
    with transaction.atomic():
        task.cancel()
        transaction.set_rollback(True)
    call.refresh_from_db()
    assert (call.outcome, call.attempt.step.state) == (None, "running")


# What staff ask for


@pytest.mark.django_db
def test_an_action_rings_its_own_queue_once() -> None:
    action = confirmed([TaskFactory().pk])
    ring_action(action.pk)
    ring_action(action.pk)
    assert jobs() == [
        ONE_JOB
        | {
            "queue": "staff",
            "name": "act",
            "priority": 0,
            "queueing_lock": str(action.pk),
            "args": f'{{"action": "{action.pk}"}}',
        }
    ]


@pytest.mark.django_db
def test_an_unknown_action_rings_nothing() -> None:
    ring_action(uuid.uuid4())
    assert jobs() == []


@pytest.mark.django_db
def test_a_check_of_an_arm_rings_once() -> None:
    ring_check("helper")
    ring_check("helper")
    assert jobs() == [
        ONE_JOB
        | {
            "queue": "staff",
            "name": "check_arm",
            "priority": 0,
            "queueing_lock": "arm:helper",
            "args": '{"arm": "helper"}',
        }
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("waiting", [0, 1])
def test_bells_that_ring_together_are_announced_once_unless_others_wait(waiting: int) -> None:
    run = run_of(TaskFactory())
    steps = [step_of(run, number=number) for number in (1, 2, 3)]
    for step in steps[:waiting]:
        ring(step)
    name = connection.settings_dict["NAME"]
    url = os.environ["ORCHESTRATOR_DATABASE_URL"].replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute('LISTEN "procrastinate_queue_v1#tasks"')
        with connection.cursor() as cursor:
            cursor.execute(bells.ring_steps("SELECT id, rank FROM steps"))
        # PostgreSQL delivers in the order of commits.
        connection.cursor().execute("""NOTIFY "procrastinate_queue_v1#tasks", 'last'""")
        announced = [one.payload for one in listener.notifies(timeout=10, stop_after=2 - waiting)]
    assert len(announced) == 2 - waiting
    assert announced[-1] == "last"
