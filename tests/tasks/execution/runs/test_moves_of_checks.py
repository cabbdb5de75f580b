"""What a run does after a step has ended: checks, repairs and decisions."""

from typing import Any

import pytest

from tasks.arms import forms
from tasks.arms.forms import CriterionVerdict
from tasks.execution.failures import FailureCode
from tasks.execution.runs.criteria import (
    BY_PERSON,
    NO_ARM,
    NO_BUDGET,
    NO_VERDICT,
    JudgedBy,
    Judgement,
    by_rules,
)
from tasks.execution.runs.moves import SAME_AGAIN, Ending, Move, next_move
from tasks.execution.runs.options import DEFAULT
from tests.tasks.execution.runs.carried_out import ASK, FUNNY, POLITE
from tests.tasks.execution.runs.moments import ended, moment, one

pytestmark = pytest.mark.django_db

MET, NOT_MET, UNDECIDED = CriterionVerdict
SHORT = "At most 3 words"
OPEN = Judgement()
BY_JUDGE = Judgement(MET, JudgedBy.ARM, "Yes.", 0.8)
NOT_POLITE = Judgement(NOT_MET, JudgedBy.ARM, "It is rude.", 0.7)
UNSAID = Judgement(UNDECIDED, None, NO_VERDICT, 0.5)
ALONE = {"helper": ["execute", "validate"]}
REFUSED = FailureCode.OUTPUT_REFUSED


def said(*verdicts: str) -> dict[str, Any]:
    evidence = {"met": "Yes.", "not_met": "It is rude."}
    confidence = {"met": 0.8, "not_met": 0.7}
    return {
        "verdicts": [
            {
                "criterion": number,
                "verdict": verdict,
                "evidence": evidence.get(verdict, ""),
                "confidence": confidence.get(verdict, 0.5),
            }
            for number, verdict in enumerate(verdicts, start=1)
        ]
    }


def after_judge(*verdicts: str, criteria: tuple[str, ...] = (POLITE,), **fields: Any) -> Move:
    options = fields.pop("options", DEFAULT)
    before = fields.pop("before", [one("execute", 1)])
    arm = fields.pop("arm", "judge")
    # Nobody has looked at any of them.
    fields = {"judgements": (OPEN,) * len(criteria)} | fields
    run = moment(
        *before, ended("judge", 9, depends_on=[before[-1]["number"]], arm_id=arm),
        criteria=criteria, answer=said(*verdicts) if verdicts else None, **fields,
    )  # fmt: skip
    return next_move(run, options)


# After the result


def test_a_result_is_checked_by_rules_first_and_what_is_left_goes_to_a_judge() -> None:
    run = moment(ended("execute", 1), criteria=(POLITE, SHORT, FUNNY), answer="Thank you")
    move = next_move(run, DEFAULT)
    [judge] = move.new_steps
    assert (judge.role, judge.capability, judge.state) == ("judge", "validate", "ready")
    assert (judge.number, judge.depends_on) == (2, (1,))
    assert judge.acceptance_criteria == (POLITE, FUNNY)
    assert [*(move.judgements or ())] == by_rules((POLITE, SHORT, FUNNY), "Thank you")
    assert (move.ending, move.events) == (None, ())


def test_what_rules_decide_completes_the_task_without_a_judge() -> None:
    run = moment(ended("execute", 1), criteria=(SHORT,), answer="Thank you")
    move = next_move(run, DEFAULT)
    assert move.ending == Ending(None, "Thank you", 0.8)
    [event] = move.events
    assert (event.kind, event.data) == ("check", {"run": 1, "met": 1, "criteria": 1})


def test_a_result_that_does_not_keep_a_rule_is_repaired_before_anybody_judges_it() -> None:
    result = "Thank you very much"
    move = next_move(moment(ended("execute", 1), criteria=(POLITE, SHORT), answer=result), DEFAULT)
    [repair] = move.new_steps
    assert (repair.role, repair.capability, repair.depends_on) == ("repair", "execute", (1,))
    why = forms.judge(SHORT, result).evidence
    assert repair.faults == ({"criterion": SHORT, "why": why},)
    # Nobody has looked, though an arm could.
    assert (move.judgements or ())[0] == OPEN


@pytest.mark.parametrize(
    "arms",
    [
        pytest.param({"helper": ["execute"]}, id="no-arm-that-judges"),
        pytest.param(ALONE, id="only-the-author-could-judge"),
    ],
)
def test_without_a_judge_what_is_open_is_undecided(arms: dict[str, list[str]]) -> None:
    run = moment(ended("execute", 1), criteria=(POLITE,), answer="Thank you", arms=arms)
    move = next_move(run, DEFAULT)
    assert move.judgements == (Judgement(evidence=NO_ARM),)
    assert move.ending == Ending(None, "Thank you", 0.4)


def test_an_arm_that_carried_out_any_step_is_no_judge() -> None:
    run = moment(
        one("plan", 0), one("execute", 1, arm_id="judge"), ended("execute", 2),
        criteria=(POLITE,), answer="Thank you",
    )  # fmt: skip
    assert not run.may_be_judged


def test_an_arm_that_only_planned_may_judge() -> None:
    arms = {"helper": ["execute"], "planner": ["plan", "validate"]}
    run = moment(
        one("plan", 0, arm_id="planner"), ended("execute", 1),
        criteria=(POLITE,), answer="Thank you", arms=arms,
    )  # fmt: skip
    assert run.may_be_judged


# After the judge


def test_met_criteria_complete_the_task() -> None:
    move = after_judge("met")
    assert move.ending == Ending(None, 1, pytest.approx(0.72))
    assert move.judgements == (BY_JUDGE,)


def test_verdicts_of_rules_and_judge_are_put_together_in_the_order_of_the_criteria() -> None:
    by_rule = Judgement(MET, JudgedBy.RULE, "Short.", 1.0)
    move = after_judge(
        "met", "undecided", criteria=(POLITE, SHORT, FUNNY), judgements=(OPEN, by_rule, OPEN)
    )
    undecided = Judgement(UNDECIDED, JudgedBy.ARM, NO_VERDICT, 0.5)
    assert move.judgements == (BY_JUDGE, by_rule, undecided)


def test_a_worker_that_has_more_rules_does_not_mistake_what_the_judge_was_asked_about() -> None:
    # The one that asked had no rule for the first of them, which is not met.
    criteria, before = (SHORT, POLITE), [one("execute", 1, answer="Thank you very much")]
    move = after_judge("not_met", "met", criteria=criteria, before=before)
    assert move.judgements == (NOT_POLITE, BY_JUDGE)


def test_a_criterion_that_is_not_met_leads_to_a_repair_that_is_told_why() -> None:
    [repair] = after_judge("not_met", "met", criteria=(POLITE, FUNNY)).new_steps
    assert (repair.role, repair.number, repair.depends_on) == ("repair", 10, (1,))
    assert repair.faults == ({"criterion": POLITE, "why": "It is rude."},)
    assert repair.action == ""


def test_after_two_repairs_the_task_fails_with_its_result() -> None:
    before = [one("execute", 1), one("repair", 2), one("repair", 3)]
    move = after_judge("not_met", before=before)
    assert move.ending == Ending(FailureCode.CRITERIA_NOT_MET, 3, 0)
    assert move.judgements == (NOT_POLITE,)


@pytest.mark.parametrize("failure", ["arm_failed", "output_refused", "budget_exhausted"])
def test_a_judge_that_failed_has_decided_nothing(failure: str) -> None:
    move = after_judge(failure=FailureCode(failure))
    assert move.judgements == (UNSAID,)
    assert move.ending == Ending(None, 1, 0.45)


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        pytest.param(FailureCode.ARM_FAILED, NO_ARM, id="no-other-arm"),
        pytest.param(FailureCode.BUDGET_EXHAUSTED, NO_BUDGET, id="too-little-budget"),
    ],
)
def test_a_judge_that_was_never_called_leaves_all_open_and_says_why(
    failure: FailureCode, why: str
) -> None:
    move = after_judge(failure=failure, arm=None)
    assert move.judgements == (Judgement(evidence=why),)


def test_a_judge_for_which_the_time_was_too_short_ends_the_run_with_its_result() -> None:
    move = after_judge(failure=FailureCode.TIMED_OUT)
    assert move.ending == Ending(FailureCode.TIMED_OUT, 1, 0.45)


def test_an_undecided_criterion_asks_staff_if_operators_want_that() -> None:
    move = after_judge("met", "undecided", criteria=(POLITE, FUNNY), options=ASK)
    [decision] = move.new_steps
    assert (decision.role, decision.state, decision.number) == ("decide", "ready", 10)
    assert (decision.depends_on, move.ending) == ((1,), None)
    assert [(event.kind, event.data) for event in move.events] == [
        ("check", {"run": 1, "met": 1, "criteria": 2}),
        ("park", {"run": 1, "step": 10, "waits_for": "decision"}),
    ]


def test_staff_are_not_asked_about_what_must_be_repaired() -> None:
    [step] = after_judge("not_met", "undecided", criteria=(POLITE, FUNNY), options=ASK).new_steps
    assert step.role == "repair"


def test_staff_are_not_asked_when_all_is_met() -> None:
    assert after_judge("met", options=ASK).ending == Ending(None, 1, pytest.approx(0.72))


# After a repair


def after_repair(answer: Any, **fields: Any) -> Move:
    run = moment(
        one("execute", 1, answer="rude"), ended("repair", 3, depends_on=[1]),
        criteria=(POLITE,), judgements=(NOT_POLITE,), answer=answer, **fields,
    )  # fmt: skip
    return next_move(run, DEFAULT)


def test_a_repair_is_checked_like_a_result() -> None:
    [judge] = after_repair("polite").new_steps
    assert (judge.role, judge.depends_on, judge.acceptance_criteria) == ("judge", (3,), (POLITE,))


def test_the_same_answer_again_ends_it() -> None:
    move = after_repair("rude")
    assert move.ending == Ending(FailureCode.CRITERIA_NOT_MET, "rude", 0, SAME_AGAIN)
    assert move.new_steps == ()


def test_a_repair_that_failed_fails_the_task_with_the_result_there_was() -> None:
    move = after_repair(None, failure=REFUSED)
    assert move.ending == Ending(REFUSED, "rude", 0)


# After a decision


def after_decision(outcome: str, *repairs: dict[str, Any], wish: str = "") -> Move:
    run = moment(
        one("execute", 1), *repairs, ended("decide", 9, depends_on=[1]),
        criteria=(FUNNY, POLITE), judgements=(BY_JUDGE, UNSAID),
        answer={"outcome": outcome, "reason": "", "wish": wish},
    )  # fmt: skip
    return next_move(run, ASK)


ACCEPTED = Judgement(MET, JudgedBy.PERSON, BY_PERSON[MET], 1.0)
REJECTED = Judgement(NOT_MET, JudgedBy.PERSON, BY_PERSON[NOT_MET], 1.0)


def test_an_accepted_result_completes_the_task() -> None:
    move = after_decision("accepted")
    assert move.ending == Ending(None, 1, pytest.approx(0.81))
    assert move.judgements == (BY_JUDGE, ACCEPTED)


def test_a_rejected_result_fails_the_task_with_it() -> None:
    move = after_decision("rejected")
    assert move.ending == Ending(FailureCode.CRITERIA_NOT_MET, 1, pytest.approx(0.36))
    assert move.judgements == (BY_JUDGE, REJECTED)


def test_a_wish_is_one_more_repair() -> None:
    tried = [one("repair", n, arm_id="helper") for n in (2, 3)]
    move = after_decision("rejected", *tried, wish="Add a joke")
    [repair] = move.new_steps
    assert (repair.role, repair.action, repair.depends_on) == ("repair", "Add a joke", (1,))
    assert repair.faults == ({"criterion": POLITE, "why": BY_PERSON[NOT_MET]},)
    assert move.judgements == (BY_JUDGE, REJECTED)


@pytest.mark.parametrize(("wishes", "is_repaired"), [(4, True), (5, False)])
def test_five_wishes_are_repaired(wishes: int, *, is_repaired: bool) -> None:
    wished = [one("repair", number, action="Better") for number in range(2, 2 + wishes)]
    move = after_decision("rejected", *wished, wish="Add a joke")
    assert bool(move.new_steps) == is_repaired
    if not is_repaired:
        assert move.ending == Ending(FailureCode.CRITERIA_NOT_MET, 1, pytest.approx(0.36))


def test_repairs_that_staff_asked_for_are_not_those_of_the_run() -> None:
    before = [one("execute", 1), one("repair", 2), one("repair", 3, action="Add a joke")]
    [repair] = after_judge("not_met", before=before).new_steps
    assert repair.role == "repair"


def test_a_decision_that_nobody_made_fails_the_task_with_its_result() -> None:
    move = after_decision("expired")
    assert move == Move(
        ending=Ending(FailureCode.DECISION_EXPIRED, 1, pytest.approx(0.9 * (0.8 + 0.5) / 2))
    )
