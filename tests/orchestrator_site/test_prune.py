"""`manage.py prune`."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from orchestrator_site.management.commands import prune
from tasks.models import Action, IdempotencyKey, RateLimit, Worker
from tests.factories import ClientFactory, TaskFactory
from tests.orchestrator_site.console.execution.carried_out import attempt_at
from tests.orchestrator_site.console.tasks.console_actions import start_worker
from tests.tasks.actions import waiting

pytestmark = pytest.mark.django_db

NOW = timezone.now()
PAST, FUTURE = NOW - timedelta(minutes=1), NOW + timedelta(hours=1)


def make_rows(count: int) -> None:
    """Make so many rows of each kind that are over, and as many that are not."""
    client, task = ClientFactory(), TaskFactory()
    for number in range(count):
        for is_over in (True, False):
            name = f"{number}-{is_over}"
            moment = PAST if is_over else FUTURE
            IdempotencyKey.objects.create(
                client=client,
                key_hmac=name.encode(),
                body_hmac=b"b",
                task=task,
                priority="low",
                expires_at=moment,
            )
            RateLimit.objects.create(
                key=name, arrival_at=moment, spacing=timedelta(1), is_allowed=True
            )
            Session.objects.create(session_key=name, session_data="", expire_date=moment)
            created_at = NOW - timedelta(hours=25 if is_over else 23)
            action = Action.objects.create(verb="cancel", actor="jane", task_ids=[task.pk])
            Action.objects.filter(pk=action.pk).update(created_at=created_at)
            days = 31 if is_over else 29
            start_worker(seen_at=NOW - timedelta(days=days))


def counts() -> list[int]:
    models = (IdempotencyKey, RateLimit, Session, Action, Worker)
    return [model.objects.count() for model in models]


@pytest.mark.parametrize("batch", [1, 2, 3, 1_000])
def test_all_that_is_over_is_deleted_in_batches_and_nothing_else(
    batch: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prune, "BATCH", batch)
    make_rows(3)
    call_command("prune")
    assert counts() == [3, 3, 3, 3, 3]
    assert capsys.readouterr().out.splitlines() == [
        "Deleted expired idempotency keys: 3",
        "Deleted idle limits: 3",
        "Deleted expired sessions: 3",
        "Deleted unconfirmed actions: 3",
        "Deleted idle workers: 3",
    ]
    call_command("prune")
    assert counts() == [3, 3, 3, 3, 3]


def test_a_confirmed_action_stays() -> None:
    action = Action.objects.create(verb="cancel", actor="jane", task_ids=[TaskFactory().pk])
    action.confirm("by hand")
    Action.objects.update(created_at=NOW - timedelta(days=400))
    call_command("prune")
    assert Action.objects.exists()


def test_a_worker_that_an_attempt_names_stays() -> None:
    worker = start_worker(seen_at=NOW - timedelta(days=400), ended_at=NOW - timedelta(days=400))
    attempt_at(waiting(), worker=worker, ended_at=NOW, outcome="lost")
    call_command("prune")
    assert Worker.objects.get() == worker


def test_a_batch_is_small(django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    make_rows(4)
    # Two whole batches of each kind, and one that finds nothing.
    with django_assert_num_queries(15):
        call_command("prune")
