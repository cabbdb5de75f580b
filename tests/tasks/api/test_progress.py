"""Where a task is, why it failed and what it has used, in `GET /tasks/{task_id}` and in lists."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tasks.execution.failures import SENTENCES, FailureCode
from tasks.models import Arm, Client, Task, Worker
from tasks.states import Priority, Status, WaitsFor
from tests.factories import TaskFactory
from tests.tasks.api.lists import get
from tests.tasks.lives import NOON, attempt_at, end, enter, processing, run_of, step_of

pytestmark = pytest.mark.django_db

SUBMITTED_AT = NOON - timedelta(days=1)
NOTHING = {"tokens": 0, "cost_usd": 0, "seconds": 0, "estimated": False}
NO_WORKER = "No worker is running."
IN_LINE = "It waits for a worker."


@pytest.fixture
def task(owner: Client) -> Task:
    task: Task = TaskFactory(client=owner, created_at=SUBMITTED_AT, updated_at=SUBMITTED_AT)
    return task


@pytest.fixture
def worker() -> Worker:
    """A worker that lives."""
    return Worker.objects.create(machine="host", process=1, version="1", concurrency=8)


@pytest.fixture
def shown(client: Browser, key: str) -> Callable[[Task], Any]:
    """Read a task, and find the same in the list of tasks."""

    def show(task: Task) -> Any:
        read = get(client, key, f"/tasks/{task.pk}")
        [listed] = get(client, key)["results"]
        del read["result"]
        assert listed == read
        return read

    return show


Show = Callable[[Task], Any]


def progress(since: str, detail: str | None, **fields: Any) -> dict[str, Any]:
    return {"since": since, "step": None, "waits_for": None, "detail": detail} | fields


def at_noon(detail: str | None, **fields: Any) -> dict[str, Any]:
    return progress("2026-11-01T12:00:00Z", detail, **{"step": 1} | fields)


def arm(**fields: Any) -> Arm:
    """Return a registered arm."""
    values = {"protocol": "octollm", "url": "http://arm", "capabilities": ["execute"]} | fields
    return Arm.objects.create(name="helper", **values)


# Before a worker has begun


def test_without_a_worker_a_task_waits_for_one_to_run(task: Task, shown: Show) -> None:
    assert shown(task)["progress"] == progress("2026-10-31T12:00:00Z", NO_WORKER)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"ended_at": NOON}, id="stopped"),
        pytest.param({"seen_at": timezone.now() - timedelta(seconds=30)}, id="without a sign"),
    ],
)
def test_a_worker_that_does_not_live_is_no_worker(
    fields: dict[str, Any], task: Task, worker: Worker, shown: Show
) -> None:
    Worker.objects.update(**fields)
    assert shown(task)["progress"]["detail"] == NO_WORKER


@pytest.mark.usefixtures("worker")
def test_a_task_waits_in_line_for_a_worker(task: Task, shown: Show) -> None:
    assert shown(task)["progress"] == progress("2026-10-31T12:00:00Z", IN_LINE)


@pytest.mark.usefixtures("worker")
def test_a_requeued_task_waits_in_line_since_its_requeue(task: Task, shown: Show) -> None:
    end(run_of(task), FailureCode.ARM_FAILED)
    task.requeue()
    told = shown(task)
    assert told["progress"] == progress(told["updated_at"], IN_LINE)
    assert (told["status"], told["failure"]) == ("pending", None)


# Parked


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING])
@pytest.mark.parametrize(
    ("waits_for", "detail"),
    [
        ("arm", "No arm that could carry it out is enabled and working."),
        ("room", "It waits for room at an arm."),
        ("budget", "The budget of all tasks for today (UTC) is spent."),
        ("release", "It waits until staff release it."),
        ("resume", "Staff have paused all calls."),
    ],
)
def test_a_parked_task_says_what_it_waits_for(
    status: Status, waits_for: str, detail: str, task: Task, shown: Show
) -> None:
    arm(is_enabled=False)
    step_of(run_of(task), waits_for=waits_for)
    Task.objects.update(status=status)
    assert shown(task)["progress"] == at_noon(detail, waits_for=waits_for)


def test_every_reason_to_wait_has_a_case() -> None:
    assert WaitsFor.values == ["arm", "room", "budget", "release", "resume"]


def test_without_any_arm_a_task_waits_for_one_to_be_registered(task: Task, shown: Show) -> None:
    step_of(run_of(task), waits_for="arm")
    assert shown(task)["progress"] == at_noon("No arm is registered.", waits_for="arm")


@pytest.mark.usefixtures("worker")
def test_a_released_task_waits_for_a_worker(task: Task, shown: Show) -> None:
    step_of(run_of(task), created_at=NOON)
    assert shown(task)["progress"] == at_noon(IN_LINE)


# Carried out


def test_a_task_is_carried_out_since_a_worker_has_claimed_it(task: Task, shown: Show) -> None:
    processing(task)
    told = shown(task)
    assert told["progress"] == at_noon(None)
    # What is reserved is not used yet.
    assert (told["status"], told["usage"]) == ("processing", NOTHING)


def test_a_task_is_carried_out_since_the_last_worker_took_over(task: Task, shown: Show) -> None:
    call = processing(task)
    before = NOON - timedelta(minutes=5)
    call.attempt.started_at = call.attempt.ended_at = before
    call.attempt.outcome = "lost"
    call.attempt.save()
    attempt_at(call.attempt.step, number=2)
    assert shown(task)["progress"] == at_noon(None)


def test_a_task_waits_for_another_call_since_the_last_one(task: Task, shown: Show) -> None:
    call = processing(task)
    call.attempt.started_at = NOON - timedelta(minutes=5)
    call.attempt.ended_at, call.attempt.outcome = NOON, "retried"
    call.attempt.save()
    step = call.attempt.step
    step.state, step.wake_at = "ready", NOON + timedelta(minutes=1)
    step.save()
    assert shown(task)["progress"] == at_noon("It waits for another call.")


def test_a_running_step_comes_before_ready_ones(task: Task, shown: Show) -> None:
    call = processing(task)
    run = call.attempt.step.run
    step_of(run, number=2, state="ready")
    call.attempt.step.number = 3
    call.attempt.step.save()
    assert shown(task)["progress"] == at_noon(None, step=3)


# Ended


@pytest.mark.parametrize("code", FailureCode)
def test_a_failed_task_says_why(code: FailureCode, task: Task, shown: Show) -> None:
    end(run_of(task), code)
    told = shown(task)
    assert (told["status"], told["progress"]) == ("failed", None)
    assert told["failure"] == {"code": code.value, "detail": SENTENCES[code]}


def test_every_code_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(FailureCode)


def test_the_last_run_says_why_a_task_failed(task: Task, shown: Show) -> None:
    for number, code in ((2, FailureCode.TIMED_OUT), (1, FailureCode.ARM_FAILED)):
        end(run_of(task, number=number), code)
    assert shown(task)["failure"]["code"] == "timed_out"


def test_a_task_that_failed_once_and_is_carried_out_again_has_no_failure(
    task: Task, shown: Show
) -> None:
    end(run_of(task), FailureCode.ARM_FAILED)
    task.requeue()
    step_of(run_of(task, number=2), waits_for="room")
    told = shown(task)
    assert (told["failure"], told["progress"]["waits_for"]) == (None, "room")
    task.cancel()
    told = shown(task)
    assert (told["failure"], told["progress"]) == (None, None)


def test_a_completed_task_has_neither_failure_nor_progress(task: Task, shown: Show) -> None:
    end(run_of(task))
    told = shown(task)
    assert (told["status"], told["failure"], told["progress"]) == ("completed", None, None)


def test_a_task_that_failed_without_a_run_names_no_code(task: Task, shown: Show) -> None:
    enter(task, Status.PROCESSING)
    enter(task, Status.FAILED)
    assert shown(task)["failure"] is None


# Usage


def test_all_runs_of_a_task_add_up(task: Task, shown: Show) -> None:
    end(
        run_of(task, spent_tokens=30, spent_usd=Decimal("0.1"), spent_seconds=1.23456),
        FailureCode.ARM_FAILED,
    )
    run_of(task, number=2, spent_tokens=2**31, spent_usd=Decimal("0.00000002"), spent_seconds=2)
    assert shown(task)["usage"] == {
        "tokens": 2**31 + 30,
        "cost_usd": 0.10000002,
        "seconds": 3.235,
        "estimated": False,
    }


@pytest.mark.parametrize("estimated", [1, 2])
def test_usage_is_estimated_if_that_of_any_run_is(estimated: int, task: Task, shown: Show) -> None:
    for number in (1, 2):
        run = run_of(task, number=number, is_estimated=number == estimated)
        end(run, FailureCode.ARM_FAILED)
    assert shown(task)["usage"]["estimated"] is True


def test_usage_of_other_tasks_does_not_count(task: Task, shown: Show) -> None:
    run_of(TaskFactory(), spent_tokens=30)
    assert shown(task)["usage"] == NOTHING


def test_unclaimed_work_of_other_tasks_is_not_shown(task: Task, shown: Show) -> None:
    processing(TaskFactory(priority=Priority.HIGH, id=uuid4()))
    assert shown(task)["progress"]["step"] is None


# Reading


@pytest.mark.usefixtures("worker")
def test_tasks_in_every_situation_are_listed_by_one_query(
    client: Browser, owner: Client, key: str, django_assert_num_queries: Any
) -> None:
    def made() -> Task:
        task: Task = TaskFactory(client=owner)
        return task

    arm()
    made()
    processing(made())
    end(run_of(made()), FailureCode.ARM_FAILED)
    step_of(run_of(made()), waits_for="arm")
    # The first request of a key notes that it is used.
    get(client, key)
    # That of the key, and that of the list.
    with django_assert_num_queries(2):
        assert len(get(client, key)["results"]) == 4
