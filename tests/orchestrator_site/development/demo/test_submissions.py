"""What demonstration tasks are, apart from any database."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import pytest
from django.db.models import Model

from orchestrator_site.development.demo.submissions import arrivals, submissions
from safety.models import Occasion, Receipt
from safety.reflex_layer.screening import screen
from tasks.api.serializers import parse_submission
from tasks.models import Task
from tasks.states import Priority, Status

# A Monday.
NOW = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
IDS = {"id", "task_id", "subject_id", "step_id"}
T = TypeVar("T", bound=Model)


def made(tasks: int, seed: int = 0) -> list[Model]:
    return [row for rows in submissions(tasks, NOW, Random(seed)) for row in rows]


def of(table: type[T], rows: list[Model]) -> list[T]:
    return [row for row in rows if isinstance(row, table)]


def without_ids(rows: list[Model]) -> list[Any]:
    return [
        {
            field.attname: getattr(row, field.attname)
            for field in row._meta.local_concrete_fields
            if field.attname not in IDS and not field.generated
        }
        for row in rows
        # The request of an answer is its step, whose id is made of that of the task.
        if getattr(row, "occasion", None) != Occasion.ANSWER
    ]


def test_the_same_seed_makes_the_same_tasks_at_other_ids() -> None:
    one, again, other = made(50), made(50), made(50, seed=1)
    assert without_ids(one) == without_ids(again) != without_ids(other)
    assert {task.pk for task in of(Task, one)}.isdisjoint(task.pk for task in of(Task, again))


@pytest.mark.parametrize("tasks", [1, 2, 7, 1_000])
def test_there_are_exactly_as_many_as_asked_for(tasks: int) -> None:
    assert len(of(Task, made(tasks))) == tasks


def test_every_task_is_one_that_could_have_been_submitted() -> None:
    for task in tasks():
        submission = parse_submission(body(task))
        assert submission.goal == task.goal
        assert task.task_metadata == task.context


def test_no_text_is_one_that_the_gate_would_refuse() -> None:
    for task in tasks():
        found = screen(parse_submission(body(task)).document.text)
        assert found["pii_matches"] == []
        assert {match["severity"] for match in found["injection_matches"]} <= {"Low", "Medium"}


def test_goals_are_in_several_languages_and_some_have_html_in_them() -> None:
    goals = " ".join(task.goal for task in tasks())
    for words in ("Woche", "entrepôt", "レビュー", "الأسبوع", "<b>", "<script>"):
        assert words in goals


def test_places_of_findings_lie_in_the_goal() -> None:
    rows = made(2_000)
    receipts = {receipt.subject_id: receipt for receipt in of(Receipt, rows)}
    flagged = [task for task in of(Task, rows) if task.verdict == "flagged"]
    assert flagged
    for task in flagged:
        (place,) = receipts[task.pk].findings[0]["places"]
        assert place["field"] == "goal"
        assert 0 <= place["start"] < place["end"] <= len(task.goal)


def test_a_few_submissions_had_no_verdict() -> None:
    receipts = of(Receipt, made(3_000))
    assert 1 <= sum(receipt.verdict == "none" for receipt in receipts) <= 20


@pytest.mark.parametrize("seed", range(5))
def test_the_story_is_the_only_critical_failure_since_yesterday(seed: int) -> None:
    midnight = NOW.replace(hour=0, minute=0) - timedelta(days=1)
    found = [
        task.goal
        for task in of(Task, made(3_000, seed))
        if (task.priority, task.status) == (Priority.CRITICAL, Status.FAILED)
        and task.updated_at >= midnight
    ]
    assert len(found) == 1
    assert "Nordhafen" in found[0]


def test_arrivals_are_in_order_and_spare_nights_and_weekends() -> None:
    moments = arrivals(20_000, NOW, Random(0))
    assert moments == sorted(moments)
    assert NOW - timedelta(days=30) <= moments[0]
    assert moments[-1] <= NOW
    sunday, monday = (
        [m for m in moments if m.date() == NOW.date() - timedelta(days=d)] for d in (8, 7)
    )
    assert len(sunday) < len(monday) / 2


def tasks() -> list[Task]:
    return of(Task, made(1_500))


def body(task: Task) -> dict[str, Any]:
    return {
        "goal": task.goal,
        "constraints": task.constraints,
        "context": task.context,
        "acceptance_criteria": task.acceptance_criteria,
        "priority": task.priority,
        "budget": {
            "max_cost_usd": float(task.max_cost_usd),
            "max_time_seconds": task.max_time_seconds,
            "max_tokens": task.max_tokens,
        },
    }
