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
from tasks.models import Arm, Client, Run, Step, Task, Worker
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
        del read["criteria"], read["result"]
        assert listed == read
        return read

    return show


Show = Callable[[Task], Any]


def progress(since: str, detail: str | None, **fields: Any) -> dict[str, Any]:
    unknown = {"steps": None, "done": 0, "step": None, "waits_for": None}
    return {"since": since, "detail": detail} | unknown | fields


def at_noon(detail: str | None, **fields: Any) -> dict[str, Any]:
    return progress("2026-11-01T12:00:00Z", detail, **{"steps": 1, "step": 1} | fields)


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
    of_arms = ["arm", "room", "budget", "release", "resume"]
    # Only decisions wait for staff; they are below.
    assert WaitsFor.values == [*of_arms, "decision"]


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
    step.state, step.wake_at, step.tries = "ready", NOON + timedelta(minutes=1), 1
    step.save(update_fields=["state", "wake_at", "tries"])
    assert shown(task)["progress"] == at_noon("It waits for another call.")


# Several steps


def plan_of(task: Task, *states: str | dict[str, Any], revision: int = 1, first: int = 1) -> Run:
    """Let a task be processed by a plan whose steps are in these states."""
    Task.objects.filter(pk=task.pk).update(status=Status.PROCESSING)
    run = task.runs.first() or run_of(task)
    for number, given in enumerate(states, first):
        fields = {"state": given} if isinstance(given, str) else given
        if fields.get("state") == "done":
            fields = {"ended_at": NOON} | fields
        step_of(run, number=number, revision=revision, action="x", created_at=NOON, **fields)
    return run


@pytest.mark.parametrize(
    ("states", "step", "waits_for", "detail"),
    [
        pytest.param(["done", "ready", "running"], 3, None, None, id="running first"),
        pytest.param(
            ["done", {"waits_for": "arm"}, "ready"], 3, None, IN_LINE, id="then ready ones"
        ),
        pytest.param(
            ["done", "waiting", {"waits_for": "room"}],
            3,
            "room",
            "It waits for room at an arm.",
            id="then parked ones",
        ),
    ],
)
def test_of_several_open_steps_the_one_that_matters_is_named(
    states: list[Any],
    step: int,
    waits_for: str | None,
    detail: str | None,
    task: Task,
    shown: Show,
) -> None:
    plan_of(task, *states)
    assert shown(task)["progress"] == at_noon(
        detail, steps=3, done=1, step=step, waits_for=waits_for
    )


def test_the_steps_of_the_newest_plan_count(task: Task, shown: Show) -> None:
    run = plan_of(task, "done", {"state": "failed", "ended_at": NOON})
    step_of(run, number=0, role="plan", state="done", ended_at=NOON)
    plan_of(task, "done", "done", "running", "waiting", revision=2, first=3)
    assert shown(task)["progress"] == at_noon(None, steps=4, done=2, step=5)


def test_the_steps_of_an_earlier_run_do_not_count(task: Task, shown: Show) -> None:
    end(plan_of(task, *[{"state": "done"}] * 3), FailureCode.ARM_FAILED)
    Task.objects.update(status=Status.PROCESSING)
    step_of(run_of(task, number=2), state="running", created_at=NOON)
    assert shown(task)["progress"] == at_noon(None)


def test_before_there_is_a_plan_nobody_knows_how_many_steps_it_has(task: Task, shown: Show) -> None:
    Task.objects.update(status=Status.PROCESSING)
    step_of(run_of(task), number=0, role="plan", state="running", created_at=NOON)
    told = shown(task)["progress"]
    assert told == at_noon("A plan is being made.", steps=None, step=0)


def test_another_plan_is_made_while_the_last_one_counts(task: Task, shown: Show) -> None:
    run = plan_of(task, "done", {"state": "failed", "ended_at": NOON})
    step_of(run, number=0, revision=2, role="plan", state="running", created_at=NOON)
    told = shown(task)["progress"]
    assert told == at_noon("A plan is being made.", steps=2, done=1, step=0)


@pytest.mark.parametrize(
    ("role", "detail"),
    [("judge", "The result is being checked."), ("repair", "The result is being repaired.")],
)
def test_the_only_step_is_done_and_its_result_is_worked_on(
    role: str, detail: str, task: Task, shown: Show
) -> None:
    run = plan_of(task, "done")
    step_of(run, number=2, role=role, state="running", created_at=NOON)
    assert shown(task)["progress"] == at_noon(detail, done=1, step=2)


@pytest.mark.parametrize("role", ["plan", "judge", "repair"])
def test_a_step_that_nobody_carries_out_says_so_whatever_it_is_for(
    role: str, task: Task, shown: Show
) -> None:
    run = plan_of(task, "done")
    step_of(run, number=2, role=role, created_at=NOON)
    assert shown(task)["progress"]["detail"] == IN_LINE
    Step.objects.filter(role=role).update(waits_for="arm", parked_at=NOON)
    assert shown(task)["progress"]["detail"] == "No arm is registered."


def test_a_result_waits_for_a_decision_of_staff(task: Task, shown: Show) -> None:
    run = plan_of(task, "done")
    step_of(run, number=2, role="decide", waits_for="decision")
    assert shown(task)["progress"] == at_noon(
        "It waits for a decision of staff.", done=1, step=2, waits_for="decision"
    )


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
    plan_of(made(), "done", "running", "waiting")
    # The first request of a key notes that it is used.
    get(client, key)
    # That of the key, and that of the list.
    with django_assert_num_queries(2):
        assert len(get(client, key)["results"]) == 5
