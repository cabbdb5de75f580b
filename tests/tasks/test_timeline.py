"""The timeline of a task, which begins with its submission."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from django.test import Client

from safety.models import Receipt
from tasks.changes import ActorKind
from tasks.models import Event, Task
from tasks.states import Priority
from tasks.timeline import SCREENED, SUBMITTED, Entry, timeline
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
