"""The arithmetic of budgets: what is reserved, what is spent, and when nothing more may begin."""

import math
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from tasks.models import Arm, Budget, Call, Run, Step, Task
from tests.arms import (
    Behaviour,
    ScriptedArm,
    closes,
    completes,
    fails,
    in_turn,
    says_status,
    succeeds,
    with_usage,
)
from tests.factories import TaskFactory
from tests.tasks.execution.clock import advance
from tests.tasks.execution.conftest import Hand

pytestmark = pytest.mark.django_db

RESERVED_TOKENS, RESERVED_USD = 10_000, Decimal(1)


def carry_out(worker: Hand, **fields: Any) -> Budget:
    """Carry a new task out with one call; return the budget of its run."""
    worker.carrier.carry_out_task(TaskFactory(**fields).pk)
    return Budget.objects.get(run__isnull=False)


def spent(budget: Budget) -> tuple[int, Decimal, bool]:
    return budget.spent_tokens, budget.spent_usd, budget.is_estimated


def assert_adds_up() -> None:
    """Check that each budget has the sums of its calls."""
    for budget in Budget.objects.filter(run__isnull=False):
        calls = Call.objects.filter(step__run=budget.run)
        opened, ended = calls.filter(ended_at=None), calls.exclude(ended_at=None)
        of_opened = opened.aggregate(tokens=Sum("reserved_tokens"), usd=Sum("reserved_usd"))
        of_ended = ended.aggregate(tokens=Sum("tokens"), usd=Sum("cost_usd"))
        assert budget.reserved_tokens == (of_opened["tokens"] or 0)
        assert budget.reserved_usd == (of_opened["usd"] or 0)
        assert budget.spent_tokens == (of_ended["tokens"] or 0)
        assert budget.spent_usd == (of_ended["usd"] or 0)


def test_an_open_call_reserves_what_is_left(worker: Hand, arm: ScriptedArm) -> None:
    worker.claims.claim_task(TaskFactory().pk)
    budget = Budget.objects.get()
    assert (budget.reserved_tokens, budget.reserved_usd) == (RESERVED_TOKENS, RESERVED_USD)
    assert spent(budget) == (0, 0, False)
    assert_adds_up()


def test_a_call_of_a_model_reserves_its_prompt_and_its_longest_answer(
    worker: Hand, model: ScriptedArm
) -> None:
    Arm.objects.update(usd_per_million_input=1_000, usd_per_million_output=2_000)
    claimed = worker.claims.claim_task(TaskFactory(max_cost_usd=100).pk)
    assert claimed is not None
    call = Call.objects.get()
    prompt_tokens = call.reserved_tokens - 4_096
    assert 100 < prompt_tokens < 1_000
    assert call.reserved_usd == (prompt_tokens * 1_000 + 4_096 * 2_000) / Decimal(1_000_000)
    assert_adds_up()


def test_what_an_arm_reports_is_spent(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = with_usage(tokens_consumed=70, estimated_cost_usd=0.25)
    assert spent(carry_out(worker)) == (70, Decimal("0.25"), False)
    assert_adds_up()


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({"tokens_consumed": -5, "estimated_cost_usd": -1}, id="negative"),
        pytest.param({"tokens_consumed": math.nan, "estimated_cost_usd": math.nan}, id="nan"),
        pytest.param({"tokens_consumed": "many", "estimated_cost_usd": "1"}, id="text"),
        pytest.param({"tokens_consumed": None, "estimated_cost_usd": None}, id="null"),
        pytest.param({"tokens_consumed": math.inf, "estimated_cost_usd": 1e300}, id="huge"),
        pytest.param({"tokens_consumed": True, "estimated_cost_usd": False}, id="truth"),
    ],
)
def test_without_a_usable_report_the_reservation_is_spent_and_the_answer_stands(
    worker: Hand, arm: ScriptedArm, usage: dict[str, Any]
) -> None:
    arm.behaviour = with_usage(**usage)
    assert spent(carry_out(worker)) == (RESERVED_TOKENS, RESERVED_USD, True)
    assert Task.objects.get().status == "completed"
    assert Call.objects.get().is_estimated
    assert_adds_up()


def test_without_a_provenance_the_reservation_is_spent(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = succeeds(provenance=None)
    assert spent(carry_out(worker)) == (RESERVED_TOKENS, RESERVED_USD, True)


def test_a_report_of_tokens_alone_leaves_the_dollars_estimated(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = with_usage(tokens_consumed=70, estimated_cost_usd=None)
    assert spent(carry_out(worker)) == (70, RESERVED_USD, True)


def test_a_model_without_usage_has_spent_its_reservation(worker: Hand, model: ScriptedArm) -> None:
    model.behaviour = completes(usage=None)
    budget = carry_out(worker)
    assert (budget.spent_tokens, budget.is_estimated) == (Call.objects.get().reserved_tokens, True)
    assert budget.reserved_tokens == 0


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says_status("400 Bad Request"), id="400"),
        pytest.param(says_status("429 Too Many Requests"), id="429"),
        pytest.param(says_status("503 Service Unavailable"), id="503"),
        pytest.param(says_status("401 Unauthorized"), id="401"),
    ],
)
def test_a_call_that_was_refused_costs_nothing(
    worker: Hand, arm: ScriptedArm, behaviour: Behaviour
) -> None:
    arm.behaviour = behaviour
    assert spent(carry_out(worker)) == (0, 0, False)
    assert_adds_up()


def test_a_call_that_was_never_sent_costs_nothing(worker: Hand, arm: ScriptedArm) -> None:
    arm.go_down()
    assert spent(carry_out(worker)) == (0, 0, False)
    assert_adds_up()


def test_an_unknown_outcome_has_spent_its_reservation(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = closes()
    assert spent(carry_out(worker)) == (RESERVED_TOKENS, RESERVED_USD, True)
    assert_adds_up()


def test_a_failure_costs_what_it_reports(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = fails("internal")
    assert spent(carry_out(worker)) == (30, Decimal("0.0125"), False)


def test_an_arm_that_knows_the_key_is_paid_once(worker: Hand, arm: ScriptedArm) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = in_turn(closes(), succeeds())
    carry_out(worker)
    advance(10)
    worker.housekeeping.tick()
    worker.work()
    assert spent(Budget.objects.get()) == (30, Decimal("0.0125"), False)
    assert_adds_up()


def test_a_model_is_paid_for_each_try(worker: Hand, model: ScriptedArm) -> None:
    model.behaviour = in_turn(closes(), completes())
    carry_out(worker)
    advance(10)
    worker.housekeeping.tick()
    worker.work()
    first, second = Call.objects.all()
    assert (first.tokens, second.tokens) == (first.reserved_tokens, 30)
    assert spent(Budget.objects.get())[0] == first.reserved_tokens + 30
    assert Task.objects.get().status == "completed"


def test_too_little_for_another_try_of_a_model_ends_the_run(
    worker: Hand, model: ScriptedArm
) -> None:
    model.behaviour = closes()
    carry_out(worker, max_tokens=5_000)
    advance(10)
    worker.housekeeping.tick()
    worker.work()
    assert Run.objects.get().failure_code == "budget_exhausted"
    assert len(model.work) == 1
    assert_adds_up()


def test_an_arm_that_used_more_than_was_reserved_is_recorded(
    worker: Hand, arm: ScriptedArm
) -> None:
    arm.behaviour = with_usage(tokens_consumed=50_000, estimated_cost_usd=7)
    assert spent(carry_out(worker)) == (50_000, Decimal(7), False)
    assert Task.objects.get().status == "completed"
    assert_adds_up()


def test_no_call_begins_when_the_budget_is_spent(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = succeeds(
        None,
        success=False,
        error={
            "error_code": "BUSY", "category": "rate_limit", "message": "", "retryable": True,
        },
        provenance={"tokens_consumed": 10_000, "estimated_cost_usd": 0.5},
    )  # fmt: skip
    carry_out(worker)
    advance(10)
    worker.housekeeping.tick()
    worker.work()
    assert Run.objects.get().failure_code == "budget_exhausted"
    assert len(arm.work) == 1
    assert_adds_up()


def test_a_task_without_any_budget_fails_before_it_calls(worker: Hand, arm: ScriptedArm) -> None:
    carry_out(worker, max_tokens=0)
    assert Run.objects.get().failure_code == "budget_exhausted"
    assert Task.objects.get().status == "failed"
    assert not Call.objects.exists()


def test_too_little_for_an_answer_of_a_model_fails_before_it_calls(
    worker: Hand, model: ScriptedArm
) -> None:
    carry_out(worker, max_tokens=100)
    assert Run.objects.get().failure_code == "budget_exhausted"
    assert model.work == []


def test_too_few_dollars_for_a_model_fail_before_it_calls(worker: Hand, model: ScriptedArm) -> None:
    Arm.objects.update(usd_per_million_input=1_000, usd_per_million_output=1_000)
    carry_out(worker, max_cost_usd="0.1")
    assert Run.objects.get().failure_code == "budget_exhausted"
    assert model.work == []


def test_the_longest_answer_of_a_model_is_what_the_budget_leaves(
    worker: Hand, model: ScriptedArm
) -> None:
    carry_out(worker, max_tokens=1_000)
    call = Call.objects.get()
    assert call.reserved_tokens == 1_000
    assert 16 <= model.work[0].json["max_tokens"] < 1_000


def test_a_requeue_begins_with_a_whole_budget(worker: Hand, arm: ScriptedArm) -> None:
    arm.behaviour = in_turn(closes(), succeeds())
    carry_out(worker)
    Task.objects.get().requeue()
    worker.work()
    first, second = Budget.objects.order_by("id")
    assert spent(first) == (RESERVED_TOKENS, RESERVED_USD, True)
    assert spent(second) == (30, Decimal("0.0125"), False)
    assert_adds_up()


def test_a_cancelled_call_has_spent_its_reservation(worker: Hand, arm: ScriptedArm) -> None:
    worker.claims.claim_task(TaskFactory().pk)
    Task.objects.get().cancel()
    assert spent(Budget.objects.get()) == (RESERVED_TOKENS, RESERVED_USD, True)
    assert_adds_up()


def test_the_day_has_what_the_runs_have(worker: Hand, arm: ScriptedArm) -> None:
    hand = Hand(max_cost_usd_per_day=Decimal(100))
    arm.behaviour = in_turn(succeeds(), closes(), says_status("400 Bad Request"))
    for _ in range(3):
        hand.carrier.carry_out_task(TaskFactory().pk)
    day = Budget.objects.get(day__isnull=False)
    runs = Budget.objects.filter(day=None)
    assert day.spent_usd == runs.aggregate(total=Sum("spent_usd"))["total"] == Decimal("1.0125")
    assert (day.reserved_tokens, day.reserved_usd) == (0, 0)
    assert day.spent_tokens == 10_030


def test_time_that_calls_took_is_added_up(worker: Hand, arm: ScriptedArm) -> None:
    budget = carry_out(worker)
    call = Call.objects.get()
    assert budget.spent_seconds == pytest.approx(
        (call.ended_at - call.started_at).total_seconds(), abs=0.001
    )
    assert Step.objects.get().tries == 1


def test_an_unknown_outcome_that_no_time_is_left_to_repeat_has_spent_its_reservation(
    worker: Hand, arm: ScriptedArm
) -> None:
    Arm.objects.update(is_idempotent=True)
    arm.behaviour = closes()
    budget = carry_out(worker, max_time_seconds=1)
    assert Run.objects.get().failure_code == "timed_out"
    assert spent(budget) == (RESERVED_TOKENS, RESERVED_USD, True)
