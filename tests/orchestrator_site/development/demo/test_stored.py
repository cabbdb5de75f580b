"""Demonstration tasks in the database: what clients, staff and workers find there."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client as Browser
from django.utils import timezone

from orchestrator_site.development.demo import plan_texts, planned
from orchestrator_site.development.demo.planned import PlannedLife
from orchestrator_site.development.demo.runs import make_surroundings
from orchestrator_site.development.demo.storing import store
from orchestrator_site.development.demo.submissions import submissions
from orchestrator_site.development.demo.texts import STORY, WORKS
from safety.models import Receipt
from tasks.arms.description import Capability
from tasks.exceptions import DecisionTaken
from tasks.execution.runs import decisions
from tasks.execution.runs.criteria import by_rules, confidence, judgement_of
from tasks.execution.runs.plan import checked
from tasks.execution.runs.state import answers_of, result_of
from tasks.models import Arm, Event, Run, Step, Task, TaskResult, Worker
from tasks.states import Priority, StepRole, WaitsFor
from tests.tasks.execution import rules_that_hold

pytestmark = pytest.mark.django_db

EVERYDAY = 150
COMPARISON = "Compare what customers say about three products"
LETTER = "Write a polite answer to a complaint about late delivery"
# An everyday task may have an earlier, partial result. Nobody counts demonstration tasks.
RULES = {
    name: rule
    for group in (
        rules_that_hold.ATTEMPTS,
        rules_that_hold.BUDGETS,
        rules_that_hold.CALLS,
        rules_that_hold.RUNS,
        rules_that_hold.PLANS,
        rules_that_hold.RESULTS,
        rules_that_hold.LOST,
    )
    for name, rule in group.items()
    if name != "what there is, is kept"
}


def long_ago() -> datetime:
    return timezone.now() - timedelta(days=9)


def life_of(way: Callable[[PlannedLife], None], seed: int = 0) -> PlannedLife:
    """Return a life that goes this way."""
    has_plan = way in planned.WITH_PLAN or way is PlannedLife.waits_for_an_arm
    work = plan_texts.WORKS[seed % 2] if has_plan else plan_texts.LETTERS
    life = PlannedLife(work, Priority.HIGH, long_ago(), Random(seed))
    way(life)
    return life


WAYS = [*planned.WITH_PLAN, *planned.WITH_DECISION, *planned.UNFINISHED]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
def surroundings() -> None:
    make_surroundings({work.arm for work in (STORY, *WORKS)}, timezone.now())


@pytest.fixture
def filled(surroundings: None) -> None:
    rows = [*submissions(EVERYDAY, timezone.now(), Random(0))]
    rows += [life_of(way, seed).rows for way in WAYS for seed in (0, 1)]
    assert sum(store(rows)) == EVERYDAY + 2 * len(WAYS)


@pytest.mark.usefixtures("filled")
def test_what_holds_for_tasks_that_workers_carry_out_holds_for_these() -> None:
    rules_that_hold.none_breaks(RULES)
    rules_that_hold.keys()


@pytest.mark.usefixtures("filled")
def test_no_worker_finds_anything_to_carry_out() -> None:
    assert not Arm.objects.available().exists()
    assert not Worker.objects.alive().exists()
    unfinished = Step.objects.filter(state__in=["ready", "running"])
    assert unfinished.filter(waits_for=None).count() == 0
    # Another arm that works must not get them either.
    assert not unfinished.filter(waits_for=WaitsFor.ARM, waits_at="").exists()


@pytest.mark.usefixtures("filled")
def test_rules_have_decided_as_the_service_would() -> None:
    by_rule = 0
    for run in Run.objects.filter(verdicts__isnull=False).select_related("task"):
        [*steps] = run.steps.filter(role__in=["execute", "repair"], state="done").order_by("number")
        again = by_rules(run.task.acceptance_criteria, steps[-1].answer)
        for stored, judged in zip(run.verdicts, again, strict=True):
            assert (stored["by"] == "rule") == (judged.by is not None)
            if judged.by is not None:
                assert judgement_of(stored) == judged
                by_rule += 1
    assert by_rule > 10


@pytest.mark.usefixtures("filled")
def test_results_and_their_confidence_follow_from_the_steps() -> None:
    results = TaskResult.objects.filter(task__steps__role__in=["judge", "repair", "decide"])
    assert results.distinct().count() > 10
    for result in results.distinct().select_related("task"):
        run = result.task.runs.get()
        judge = run.steps.exclude(role__in=["execute", "plan"]).order_by("number").last()
        # The last repair is not checked if its run ends with it.
        numbers = [judge.number] if judge.role == StepRole.REPAIR else judge.depends_on
        assert result.result_data == result_of(answers_of(run.pk, numbers))
        answers = run.steps.filter(number__in=numbers).values_list("confidence", flat=True)
        whole = confidence([*answers], [judgement_of(one) for one in run.verdicts])
        assert float(result.confidence) == pytest.approx(whole, abs=0.0001)


@pytest.mark.usefixtures("filled")
def test_stored_plans_are_valid_ones() -> None:
    for plan in Step.objects.filter(role="plan"):
        found = checked(
            plan.answer,
            arms={name: [Capability.EXECUTE] for name in Arm.objects.values_list("pk", flat=True)},
            done=plan.depends_on,
            seconds_left=7_200,
        )
        made = plan.run.steps.filter(role="execute", revision=plan.revision).order_by("number")
        assert [
            (step.action, step.pinned_arm, tuple(step.depends_on), step.estimated_seconds)
            for step in made
        ] == [
            (step.action, step.arm, step.depends_on, step.estimated_seconds) for step in found.steps
        ]


@every_way
def test_a_task_goes_its_way(way: Callable[[PlannedLife], None], surroundings: None) -> None:
    [*store([life_of(way).rows])]
    task = Task.objects.get()
    expected: dict[str, tuple[str, str | None]] = {
        "plan_invalid": ("failed", "plan_invalid"),
        "not_met": ("failed", "criteria_not_met"),
        "rejected": ("failed", "criteria_not_met"),
        "expired": ("failed", "decision_expired"),
        "waits_for_a_decision": ("processing", None),
        "waits_for_an_arm": ("processing", None),
    }
    run = task.runs.get()
    assert (task.status, run.failure_code) == expected.get(way.__name__, ("completed", None))
    assert (task.status == "processing") == (run.ended_at is None)
    newest = task.events.filter(kind="status").latest("id")
    assert (task.updated_at, task.status) == (newest.created_at, newest.data["to"])
    times = [*task.events.values_list("created_at", flat=True)]
    assert times == sorted(times)
    # Nothing of it lies in the future of a task of last week.
    assert times[-1] <= timezone.now()


@pytest.mark.usefixtures("filled")
def test_there_are_verdicts_of_all_kinds_and_by_all() -> None:
    verdicts = [
        (one["verdict"], one["by"])
        for found in Run.objects.filter(verdicts__isnull=False).values_list("verdicts", flat=True)
        for one in found
    ]
    assert {*verdicts} >= {
        ("met", "rule"),
        ("met", "arm"),
        ("met", "person"),
        ("not_met", "arm"),
        ("not_met", "person"),
        ("undecided", "arm"),
        ("undecided", None),
    }
    outcomes = Event.objects.filter(kind="decision").values_list("data__outcome", flat=True)
    assert {*outcomes} == {"accepted", "rejected", "expired"}
    assert Step.objects.filter(waits_for="decision").exists()
    assert Step.objects.filter(role="repair").exists()
    assert Step.objects.filter(role="plan", revision=2).exists()


# The tasks that documents and pictures show


@pytest.mark.usefixtures("filled")
def test_the_comparison_is_planned_repaired_and_completed(client: Browser) -> None:
    task = Task.objects.get(goal=COMPARISON)
    body = client.get(f"/tasks/{task.pk}").json()
    assert (body["status"], body["progress"]) == ("completed", None)
    assert [(one["verdict"], one["by"]) for one in body["criteria"]] == [
        ("met", "rule"),
        ("met", "arm"),
    ]
    steps = {
        (step.role, step.number): step for step in Step.objects.filter(task=task, state="done")
    }
    depends_on = {number: step.depends_on for (_, number), step in steps.items() if number}
    assert depends_on == {
        1: [],
        2: [],
        3: [],
        4: [1, 2, 3],
        5: [1, 2, 3],
        6: [4, 5],
        # The repair, and the check of what it brought.
        7: [6],
        8: [7],
    }
    assert [role for role, number in steps if number > 6] == ["repair", "judge"]
    flagged = [number for (_, number), step in steps.items() if step.verdict == "flagged"]
    assert flagged == [2]
    assert Receipt.objects.get(occasion="answer", subject_id=task.pk).verdict == "flagged"


@pytest.mark.usefixtures("filled")
def test_steps_of_the_comparison_run_side_by_side() -> None:
    calls = {
        step.number: step.calls.get()
        for step in Step.objects.filter(task__goal=COMPARISON, role="execute")
    }
    for together in ((1, 2, 3), (4, 5)):
        last_began = max(calls[number].started_at for number in together)
        assert last_began < min(calls[number].ended_at for number in together)
    assert calls[4].started_at > max(calls[number].ended_at for number in (1, 2, 3))
    assert calls[6].started_at > max(calls[number].ended_at for number in (4, 5))


@pytest.mark.usefixtures("filled")
def test_the_letter_waits_for_a_decision(client: Browser) -> None:
    task = Task.objects.get(goal=LETTER)
    body = client.get(f"/tasks/{task.pk}").json()
    progress = body["progress"]
    assert (progress["waits_for"], progress["step"]) == ("decision", 3)
    assert [one["verdict"] for one in body["criteria"]] == ["met", "undecided"]
    assert body["result"] is None


def decide(way: Any, **fields: Any) -> Task:
    task = Task.objects.get(goal=LETTER)
    step = task.steps.get(waits_for="decision")
    way(task_id=task.pk, step_id=step.pk, actor="ada", reason="It is fine.", **fields)
    with pytest.raises(DecisionTaken):
        way(task_id=task.pk, step_id=step.pk, actor="bob", reason="", **fields)
    task.refresh_from_db()
    return task


@pytest.mark.usefixtures("filled")
def test_the_letter_can_be_accepted() -> None:
    task = decide(decisions.accept)
    assert task.status == "completed"
    [verdict] = {one["by"] for one in task.runs.get().verdicts} - {"rule"}
    assert verdict == "person"
    answer = task.steps.get(role="execute").answer
    assert task.results.get().result_data == answer
    rules_that_hold.none_breaks(RULES)


@pytest.mark.usefixtures("filled")
def test_the_letter_can_be_rejected() -> None:
    task = decide(decisions.reject)
    assert (task.status, task.runs.get().failure_code) == ("failed", "criteria_not_met")
    rules_that_hold.none_breaks(RULES)


@pytest.mark.usefixtures("filled")
def test_the_letter_can_be_repaired_as_staff_wish() -> None:
    task = decide(decisions.reject, wish="Name the day")
    repair = task.steps.get(role="repair")
    assert (task.status, repair.state, repair.action) == ("processing", "ready", "Name the day")
    rules_that_hold.none_breaks(RULES)


@pytest.mark.usefixtures("filled")
def test_unfinished_tasks_can_be_cancelled() -> None:
    unfinished = Task.objects.filter(Q(status="processing") | Q(status="pending"))
    Task.objects.cancel([*unfinished.values_list("pk", flat=True)])
    assert not unfinished.exists()
    rules_that_hold.none_breaks(RULES)
