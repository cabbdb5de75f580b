"""Stored actions: one confirmation, one end, and always a reason."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from tasks.bulk import choose
from tasks.models import Action, Event
from tasks.models.action import CANCEL
from tests.tasks.actions import call_and_disconnect, confirmed, proceed, tasks

pytestmark = pytest.mark.django_db


def test_unconfirmed_action_cannot_be_stopped() -> None:
    action = choose(tasks("pending"), CANCEL, actor="ada")
    action.stop()
    assert not action.is_ended


def test_finished_action_cannot_be_stopped() -> None:
    action = confirmed(tasks("pending"))
    proceed(action)
    ended_at = action.ended_at
    action.stop()
    assert (action.is_stopped, action.ended_at) == (False, ended_at)


def test_second_confirmation_changes_nothing() -> None:
    action = confirmed(tasks("pending"))
    before = (action.reason, action.confirmed_at)
    action.confirm("another reason")
    assert (action.reason, action.confirmed_at) == before


@pytest.mark.django_db(transaction=True)
def test_concurrent_confirmations_keep_one_reason() -> None:
    choose(tasks("pending"), CANCEL, actor="ada")
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                call_and_disconnect, lambda number=number: Action.objects.get().confirm(f"{number}")
            )
            for number in range(4)
        ]
        for run in runs:
            run.result(60)
    action = Action.objects.get()
    proceed(action)
    assert Event.objects.get().reason == action.reason


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"verb": "delete"}, "task_actions_verb_known"),
        ({"task_ids": []}, "task_actions_chosen_some"),
        ({"position": -1}, "task_actions_counts_in_order"),
        ({"position": 3}, "task_actions_counts_in_order"),
        ({"changed": -1}, "task_actions_counts_in_order"),
        ({"position": 1, "changed": 2}, "task_actions_counts_in_order"),
        ({"reason": ""}, "task_actions_confirmed_for_a_reason"),
        ({"confirmed_at": None}, "task_actions_confirmed_for_a_reason"),
        (
            {"confirmed_at": None, "reason": "", "position": 1},
            "task_actions_confirmed_for_a_reason",
        ),
        (
            {"confirmed_at": None, "reason": "", "ended_at": timezone.now()},
            "task_actions_confirmed_for_a_reason",
        ),
    ],
)
def test_database_refuses_an_inconsistent_action(fields: dict[str, Any], constraint: str) -> None:
    confirmed(tasks("pending", "pending"))
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Action.objects.update(**fields)


def test_ids_are_loaded_in_slices_only() -> None:
    action = confirmed(tasks("pending", "pending", "pending"))
    assert "task_ids" in Action.objects.get().get_deferred_fields()
    assert action.ids(1, 1) == action.task_ids[1:2]
    assert action.ids(1, 5) == action.task_ids[1:]


def test_unconfirmed_actions_are_deleted_after_a_day() -> None:
    chosen = tasks("pending")
    for _ in range(3):
        choose(chosen, CANCEL, actor="ada")
    old, kept, fresh = Action.objects.all()
    kept.confirm("a reason")
    Action.objects.exclude(pk=fresh.pk).update(created_at=F("created_at") - timedelta(hours=25))
    new = choose(chosen, CANCEL, actor="eve")
    assert set(Action.objects.all()) == {kept, fresh, new}
    assert old not in Action.objects.all()
