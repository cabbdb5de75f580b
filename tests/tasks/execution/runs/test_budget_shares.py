"""What each step of a run may use of its budget, and what is charged for it."""

from decimal import Decimal
from typing import Any

import pytest

from tasks.models import Arm, Budget, Call, Task
from tests.arms import (
    PROVENANCE,
    ScriptedArm,
    closes,
    completes,
    in_turn,
    judges,
    plans,
    step,
    succeeds,
    works,
)
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.runs.carried_out import (
    FUNNY,
    PLANNED,
    POLITE,
    begun,
    carried_out,
    contract,
    failure,
    go_on,
    result,
    steps,
)

pytestmark = pytest.mark.django_db

# The arms speak `octollm`, so each of their calls reserves all that it may use.
TOKENS, USD = 10_000, Decimal(1)
USED = {"tokens_consumed": 30, "estimated_cost_usd": 0.0125}


def reserved(**wanted: Any) -> list[tuple[int, Decimal]]:
    """Return what calls reserved, in their order."""
    calls = Call.objects.filter(**wanted).order_by("id")
    return [*calls.values_list("reserved_tokens", "reserved_usd")]


def using(tokens: int, usd: float, text: str = "done") -> Any:
    provenance = PROVENANCE | {"tokens_consumed": tokens, "estimated_cost_usd": usd}
    return succeeds(text, provenance=provenance)


def assert_adds_up() -> Budget:
    """Assert that a run has spent what its calls have used, and reserves nothing more."""
    budget = Budget.objects.get()
    calls = [*Call.objects.all()]
    assert budget.spent_tokens == sum(call.tokens for call in calls)
    assert budget.spent_usd == sum(call.cost_usd for call in calls)
    assert (budget.reserved_tokens, budget.reserved_usd) == (0, 0)
    return budget


# Shares


def test_a_fifth_is_set_aside_for_the_judge_before_the_first_call(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    carried_out(worker, acceptance_criteria=[POLITE])
    assert reserved(arm="helper") == [(8_000, Decimal("0.8"))]
    assert contract(arm.work[0])["budget"]["max_tokens"] == 8_000
    assert contract(arm.work[0])["budget"]["max_cost_usd"] == 0.8


@pytest.mark.parametrize(
    ("criteria", "capabilities"),
    [
        pytest.param([], ["validate"], id="no-criteria"),
        pytest.param(["not empty"], ["validate"], id="rules-suffice"),
        pytest.param([POLITE], ["plan"], id="no-arm-that-judges"),
    ],
)
def test_without_a_check_by_an_arm_nothing_is_set_aside(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, criteria: list[str], capabilities: list[str]
) -> None:
    Arm.objects.filter(name="judge").update(capabilities=capabilities)
    carried_out(worker, acceptance_criteria=criteria)
    assert reserved() == [(TOKENS, USD)]


def test_a_plan_gets_a_quarter_of_what_is_left(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    carried_out(worker, **PLANNED, acceptance_criteria=[POLITE])
    assert reserved(arm="planner") == [(2_000, Decimal("0.2"))]


def test_the_steps_of_a_plan_share_what_is_left(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), step(2, 1), step(3, 2), provenance=PROVENANCE | USED)
    carried_out(worker, **PLANNED)
    left = TOKENS - 30
    first = left // 3
    second = (left - 30) // 2
    assert [tokens for tokens, _ in reserved(arm="helper")] == [first, second, left - 60]
    # A third, rounded down.
    assert reserved(arm="helper")[0][1] == Decimal("0.32916666")


def test_steps_side_by_side_get_equal_shares_and_leave_something_to_those_that_wait(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(
        *(step(number) for number in range(1, 6)), provenance={"tokens_consumed": 0}
    )
    begun(**PLANNED)
    worker.work()
    for pk in steps("id", role="execute", state="ready"):
        worker.claims.claim_step(pk)
    assert [tokens for tokens, _ in reserved(arm="helper")] == [2_000] * 4
    budget = Budget.objects.get()
    assert budget.reserved_tokens == 8_000
    assert budget.spent_usd + budget.reserved_usd <= USD


def test_a_judge_gets_half_of_what_is_left_if_that_is_more(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    carried_out(worker, acceptance_criteria=[POLITE])
    assert reserved(arm="judge") == [((TOKENS - 30) // 2, (USD - Decimal("0.0125")) / 2)]


def test_a_judge_gets_what_was_set_aside_though_all_else_is_spent(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = using(8_000, 0.8)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert reserved(arm="judge") == [(2_000, Decimal("0.2"))]
    assert task.status == "completed"


def test_without_enough_for_a_repair_the_task_fails_and_keeps_its_result(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = using(8_000, 0.8, "rude")
    judge.behaviour = judges(False)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (failure(task), result(task)) == ("budget_exhausted", "rude")
    assert (len(arm.work), len(judge.work)) == (1, 1)


def test_an_author_that_spends_what_is_not_its_own_leaves_the_result_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = using(20_000, 3)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert steps("state", "failure_code", role="judge") == [("failed", "budget_exhausted")]
    assert (task.status, judge.work) == ("completed", [])


# What is charged


def test_planning_steps_judging_and_repairs_are_charged(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), provenance=PROVENANCE | {"tokens_consumed": 1})
    arm.behaviour = in_turn(using(10, 0.01, "rude"), using(100, 0.02))
    judge.behaviour = in_turn(
        judges(False, provenance=PROVENANCE | {"tokens_consumed": 1_000}),
        judges(True, provenance=PROVENANCE | {"tokens_consumed": 2_000}),
    )
    task = carried_out(worker, **PLANNED, acceptance_criteria=[POLITE])
    assert task.status == "completed"
    budget = assert_adds_up()
    assert (budget.spent_tokens, budget.is_estimated) == (3_111, False)
    assert budget.spent_usd == Decimal("0.03") + 3 * Decimal("0.0125")


def test_a_judge_that_reports_nothing_is_charged_its_share(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = using(8_000, 0.8)
    judge.behaviour = judges(True, provenance=None)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert task.status == "completed"
    budget = assert_adds_up()
    assert (budget.spent_tokens, budget.spent_usd, budget.is_estimated) == (TOKENS, USD, True)


def test_a_planner_that_reports_nothing_leaves_three_quarters(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), provenance=None)
    carried_out(worker, **PLANNED)
    assert reserved(arm="helper") == [(7_500, Decimal("0.75"))]
    assert assert_adds_up().spent_tokens == 2_530


def test_no_call_ever_begins_above_the_maximum(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    # Nobody reports anything, so each call has spent what it reserved.
    planner.behaviour = plans(*(step(number) for number in range(1, 8)), provenance=None)
    arm.behaviour = succeeds("done", provenance=None)
    judge.behaviour = judges(False, provenance=None)
    carried_out(worker, **PLANNED, acceptance_criteria=[POLITE, FUNNY])
    assert_adds_up()
    assert len(reserved()) >= 9
    assert sum(tokens for tokens, _ in reserved()) <= TOKENS
    assert sum(usd for _, usd in reserved()) <= USD


def test_a_task_without_tokens_fails_before_it_is_planned(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm
) -> None:
    task = carried_out(worker, **PLANNED, max_tokens=3)
    assert (task.status, failure(task), task.has_result) == ("failed", "budget_exhausted", False)
    assert planner.work == arm.work == []
    assert [*Task.objects.get().events.values_list("kind", flat=True)].count("status") == 2


def test_a_task_that_may_cost_nothing_is_planned_and_judged_for_nothing(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    free = PROVENANCE | {"estimated_cost_usd": 0}
    planner.behaviour = plans(step(1), provenance=free)
    arm.behaviour = succeeds("done", provenance=free)
    judge.behaviour = judges(True, provenance=free)
    task = carried_out(worker, **PLANNED, acceptance_criteria=[POLITE], max_cost_usd=0)
    assert (task.status, assert_adds_up().spent_usd) == ("completed", 0)


def test_a_model_that_judges_needs_enough_for_an_answer(
    worker: Hand, arm: ScriptedArm, model: ScriptedArm
) -> None:
    Arm.objects.filter(name="model").update(capabilities=["validate"])
    arm.behaviour = works("Thank you")
    task = carried_out(worker, acceptance_criteria=[POLITE], max_tokens=100)
    assert steps("state", "failure_code", role="judge") == [("failed", "budget_exhausted")]
    assert (task.status, model.work) == ("completed", [])


def test_a_request_that_is_sent_again_may_use_as_much_as_before(
    worker: Hand, model: ScriptedArm, planner: ScriptedArm
) -> None:
    # A model is paid for each try, so what is left for two steps is less than it was.
    Arm.objects.filter(name="model").update(max_answer_tokens=4_000)
    model.behaviour = in_turn(closes(), completes("one"), completes("two"))
    planner.behaviour = plans(step(1), step(2, 1), provenance={"tokens_consumed": 0})
    task = go_on(worker, carried_out(worker, **PLANNED))
    first, again, second = [tokens for tokens, _ in reserved(arm="model")]
    assert 4_000 < first == again < TOKENS // 2
    assert assert_adds_up().spent_tokens == first + 60
    assert second <= TOKENS - first - 30
    assert task.status == "completed"


def test_a_plan_of_twenty_steps_fits_into_the_usual_budget_of_a_model(
    worker: Hand, model: ScriptedArm, planner: ScriptedArm
) -> None:
    # Each prompt takes more than a twentieth of it, and an answer may take a twentieth.
    planner.behaviour = plans(*(step(number) for number in range(1, 21)))
    model.behaviour = completes("done", usage={"prompt_tokens": 200, "completion_tokens": 10})
    task = carried_out(worker, **PLANNED, context={"material": "x" * 1_500}, max_tokens=10_000)
    assert (task.status, failure(task)) == ("completed", None)
    assert max(body.json["max_tokens"] for body in model.work[:4]) <= TOKENS // 16


def test_a_step_waits_for_calls_that_may_leave_it_enough(
    worker: Hand, other_worker: Hand, model: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), step(2), provenance={"tokens_consumed": 0})
    begun(**PLANNED, context={"material": "x" * 2_400}, max_tokens=1_400)
    worker.work()
    first, second = steps("id", role="execute")
    claimed = worker.claims.claim_step(first)
    assert claimed is not None
    assert other_worker.claims.claim_step(second) is None
    assert steps("state", role="execute") == ["running", "ready"]
    assert steps("wake_at", role="execute")[1] is not None


def test_a_step_does_not_wait_if_nothing_else_may_leave_it_enough(
    worker: Hand, model: ScriptedArm, planner: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), provenance={"tokens_consumed": 0})
    task = carried_out(worker, **PLANNED, context={"material": "x" * 2_400}, max_tokens=700)
    assert (task.status, failure(task), model.work) == ("failed", "budget_exhausted", [])
