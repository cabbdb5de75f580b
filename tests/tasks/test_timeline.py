"""The timeline of a task, which begins with its submission."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from django.test import Client

from safety.models import Receipt
from tasks.changes import ActorKind, EventKind
from tasks.models import Event, Task
from tasks.states import Priority
from tasks.timeline import SCREENED, SUBMITTED, Entry, in_words, timeline
from tests.factories import TaskFactory
from tests.reflex_layer import ScriptedReflexLayer, injection, says
from tests.tasks.actions import fail, start

pytestmark = pytest.mark.django_db


def submitted(client: Client) -> Task:
    response = client.post(
        "/submit",
        {"goal": "Look at this"},
        content_type="application/json",
        headers={"X-Request-ID": "ours"},
    )
    return Task.objects.get(pk=response.json()["task_id"])


def test_submission_leaves_no_event(client: Client, reflex_layer: ScriptedReflexLayer) -> None:
    submitted(client)
    assert not Event.objects.exists()


def test_timeline_begins_with_submission_and_screening(
    client: Client, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = says(injection(severity="Low"))
    task = submitted(client)
    receipt = Receipt.objects.get()
    assert timeline(task) == [
        Entry(
            SUBMITTED,
            task.created_at,
            ActorKind.CLIENT,
            data={"request_id": "ours", "verdict": "flagged"},
        ),
        Entry(
            SCREENED,
            receipt.created_at,
            data={
                "verdict": "flagged",
                "types": receipt.types,
                "redacted_types": [],
                "policy_version": receipt.policy_version,
            },
        ),
    ]
    assert receipt.types
    assert receipt.policy_version


def test_timeline_of_an_unscreened_task_has_no_screening() -> None:
    task = TaskFactory()
    assert timeline(task) == [
        Entry(
            SUBMITTED,
            task.created_at,
            ActorKind.CLIENT,
            data={"request_id": "", "verdict": "unscreened"},
        )
    ]


def test_timeline_lists_the_changes_in_order() -> None:
    task = TaskFactory()
    TaskFactory().cancel()
    task.change_priority(Priority.HIGH, actor="ada", reason="urgent")
    start(task)
    fail(task, reason="no arm answered")
    task.requeue(actor="bob")
    entries = timeline(task)
    assert [(entry.kind, entry.actor, entry.reason, entry.data) for entry in entries[1:]] == [
        ("priority", "ada", "urgent", {"from": "medium", "to": "high"}),
        ("status", "", "", {"from": "pending", "to": "processing"}),
        ("status", "", "no arm answered", {"from": "processing", "to": "failed"}),
        ("status", "bob", "", {"from": "failed", "to": "pending"}),
    ]
    times = [entry.at for entry in entries]
    assert times == sorted(times)
    assert times[-1] == task.updated_at


def test_timeline_takes_two_queries(django_assert_num_queries: Any) -> None:
    task = TaskFactory()
    start(task)
    fail(task)
    with django_assert_num_queries(2):
        timeline(task)


def test_entry_cannot_be_changed() -> None:
    [entry] = timeline(TaskFactory())
    with pytest.raises(FrozenInstanceError):
        entry.kind = "status"


def test_event_stores_the_kind_of_its_actor() -> None:
    task = TaskFactory()
    start(task)
    task.cancel(actor="ada")
    assert [event.actor_kind for event in Event.objects.all()] == ["service", "staff"]
    assert [entry.acted for entry in timeline(task)] == [
        ActorKind.CLIENT,
        ActorKind.SERVICE,
        ActorKind.STAFF,
    ]


@pytest.mark.parametrize(
    ("actor", "acted"), [("", ActorKind.SERVICE), ("service", ActorKind.STAFF)]
)
def test_old_event_without_actor_kind_gets_it_from_the_actor(actor: str, acted: ActorKind) -> None:
    task = TaskFactory()
    Event.objects.create(task=task, kind="status", actor=actor, data={"from": "a", "to": "b"})
    assert Event.objects.get().actor_kind is None
    assert timeline(task)[-1].acted is acted


def test_event_of_a_client_shows_the_client_as_actor() -> None:
    task = TaskFactory()
    Event.objects.create(task=task, kind="status", actor_kind="client")
    assert timeline(task)[-1].acted is ActorKind.CLIENT


# In words


def event(task: Task, kind: str, **data: Any) -> None:
    Event.objects.create(task=task, kind=kind, actor_kind="service", data=data)


def said_about(task: Task) -> list[str]:
    """Return what the timeline says after the submission."""
    return [in_words(EventKind(entry.kind), entry.data) for entry in timeline(task)[1:]]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (EventKind.RUN, {"run": 2}, "Run 2 began"),
        (EventKind.CLAIM, {"attempt": 2}, "A worker claimed it: attempt 2"),
        (EventKind.CALL, {"call": 1, "arm": "helper"}, "Call 1 to arm helper"),
        (EventKind.RETRY, {"call": 3}, "Call 3 brought no answer; it will be tried again"),
        (EventKind.RETRY, {}, "Tried again at once"),
        (EventKind.PARK, {"waits_for": "room"}, "Waits for room at an arm"),
        (
            EventKind.RECOVERY,
            {"attempt": 1},
            "The worker of attempt 1 was lost; another one takes over",
        ),
        (EventKind.RESULT, {}, "The result came"),
        (EventKind.RELEASE, {}, "Released"),
        # Of one step of several.
        (EventKind.CLAIM, {"step": 1, "attempt": 1}, "Step 1: a worker claimed it: attempt 1"),
        (EventKind.CALL, {"step": 2, "call": 1, "arm": "helper"}, "Step 2: call 1 to arm helper"),
        (
            EventKind.CALL,
            {"step": 0, "role": "plan", "call": 1, "arm": "helper"},
            "Plan: call 1 to arm helper",
        ),
        (
            EventKind.RECOVERY,
            {"step": 2, "attempt": 1},
            "Step 2: the worker of attempt 1 was lost; another one takes over",
        ),
        (EventKind.PARK, {"step": 3, "waits_for": "arm"}, "Step 3: waits for an arm"),
        (EventKind.RESULT, {"step": 3}, "Step 3: the result came"),
        # Nobody carries out a decision.
        (EventKind.PARK, {"step": 3, "waits_for": "decision"}, "Waits for a decision"),
        (EventKind.PLAN, {"steps": 6}, "A plan with 6 steps was made"),
        (EventKind.PLAN, {"steps": 1}, "A plan with 1 step was made"),
        (EventKind.CHECK, {"met": 1, "criteria": 2}, "The criteria were checked: 1 of 2 met"),
        (EventKind.DECISION, {"outcome": "accepted"}, "A person accepted the result"),
        (EventKind.DECISION, {"outcome": "rejected"}, "A person rejected the result"),
        (EventKind.DECISION, {"outcome": "expired"}, "Nobody decided in time"),
    ],
)
def test_an_event_is_told_in_words(kind: EventKind, data: dict[str, Any], words: str) -> None:
    assert in_words(kind, data) == words


def test_the_only_step_of_a_run_is_not_numbered() -> None:
    task = TaskFactory()
    event(task, "claim", run=1, step=1, attempt=1)
    event(task, "call", run=1, step=1, call=1, arm="helper")
    event(task, "result", run=1, step=1)
    # Another run has a plan.
    event(task, "call", run=2, step=0, role="plan", call=1, arm="planner")
    event(task, "call", run=2, step=1, call=1, arm="helper")
    assert said_about(task) == [
        "A worker claimed it: attempt 1",
        "Call 1 to arm helper",
        "The result came",
        "Plan: call 1 to arm planner",
        "Step 1: call 1 to arm helper",
    ]


def test_the_first_step_is_numbered_if_another_one_follows() -> None:
    task = TaskFactory()
    event(task, "call", run=1, step=1, call=1, arm="helper")
    event(task, "check", run=1, met=0, criteria=1)
    event(task, "call", run=1, step=2, call=1, arm="helper")
    assert said_about(task) == [
        "Step 1: call 1 to arm helper",
        "The criteria were checked: 0 of 1 met",
        "Step 2: call 1 to arm helper",
    ]
