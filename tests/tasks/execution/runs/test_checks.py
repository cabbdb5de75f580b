"""Results that are checked: by rules, by an arm, and what follows if criteria are not met."""

from typing import Any

import pytest

from tasks.arms import forms
from tasks.execution.runs.criteria import NO_ARM, NO_VERDICT
from tasks.models import Arm, Event, Run, Task
from tests.arms import (
    ScriptedArm,
    fails,
    hangs,
    in_turn,
    judges,
    plans,
    says,
    says_status,
    step,
    succeeds,
    works,
)
from tests.reflex_layer import ScriptedReflexLayer, answer, injection
from tests.reflex_layer import in_turn as reflex_in_turn
from tests.reflex_layer import says as reflex_says
from tests.tasks.execution.conftest import Hand, register
from tests.tasks.execution.runs.carried_out import (
    FUNNY,
    PLANNED,
    POLITE,
    carried_out,
    contract,
    failure,
    go_on,
    result,
    steps,
    verdicts,
)

pytestmark = pytest.mark.django_db

SHORT = "At most 3 words"


def stored(task: Task) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Run.objects.get(task=task).verdicts
    return found


def confidence(task: Task) -> float:
    return float(task.results.get().confidence)


# By whom


def test_what_rules_decide_is_asked_of_nobody(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = works("Thank you")
    task = carried_out(worker, acceptance_criteria=[SHORT])
    assert (task.status, judge.work) == ("completed", [])
    assert stored(task) == [
        {
            "verdict": "met",
            "by": "rule",
            "evidence": forms.judge(SHORT, "Thank you").evidence,
            "confidence": 1.0,
        }
    ]
    assert confidence(task) == 0.9


def test_a_judge_is_asked_about_the_rest_all_at_once(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = works("Thank you")
    criteria = [POLITE, SHORT, FUNNY]
    task = carried_out(worker, acceptance_criteria=criteria, goal="Thank", context={"to": "Bob"})
    [request] = judge.work
    assert request.path == "/validate"
    assert request.json == {
        "output": "Thank you",
        "validation_types": ["criteria"],
        "acceptance_criteria": [POLITE, FUNNY],
        "context": {"to": "Bob", "task_goal": "Thank"},
        "request_id": str(steps("id", role="judge")[0]),
    }
    assert verdicts(task) == [("met", "arm"), ("met", "rule"), ("met", "arm")]
    assert (task.status, confidence(task)) == ("completed", 0.78)


def test_a_checked_task_has_these_events(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    carried_out(worker, acceptance_criteria=[POLITE])
    assert [(event.kind, event.data.get("step")) for event in Event.objects.order_by("id")] == [
        ("status", None), ("run", None), ("claim", 1), ("call", 1), ("result", 1),
        ("claim", 2), ("call", 2), ("result", 2), ("check", None), ("status", None),
    ]  # fmt: skip
    assert Event.objects.get(kind="check").data == {"run": 1, "met": 1, "criteria": 1}


def test_the_arm_that_was_chosen_stays_that_of_the_task(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    assert carried_out(worker, acceptance_criteria=[POLITE]).assigned_arm == "helper"


def test_an_author_is_never_the_judge(worker: Hand, arm: ScriptedArm, judge: ScriptedArm) -> None:
    # It would be cheaper.
    Arm.objects.filter(name="helper").update(capabilities=["execute", "validate"])
    Arm.objects.filter(name="judge").update(tier=9)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert [request.path for request in arm.work] == ["/execute"]
    assert (len(judge.work), task.status) == (1, "completed")


def test_the_judge_of_a_plan_carried_out_none_of_its_steps(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    with ScriptedArm() as second:
        register(second, "second", capabilities=["execute", "validate"], tier=9)
        Arm.objects.filter(name="judge").update(is_enabled=False)
        planner.behaviour = plans(step(1, arm_id="second"), step(2, 1, arm_id="helper"))
        task = carried_out(worker, **PLANNED, acceptance_criteria=[POLITE])
        assert [request.path for request in second.work] == ["/execute"]
    assert (task.status, stored(task)[0]["evidence"]) == ("completed", NO_ARM)


def test_a_pinned_task_is_judged_by_another_arm(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    task = carried_out(worker, acceptance_criteria=[POLITE], assigned_arm="helper")
    assert (task.status, len(judge.work)) == ("completed", 1)


def test_without_a_judge_the_task_is_completed_and_says_so(worker: Hand, arm: ScriptedArm) -> None:
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (task.status, verdicts(task), confidence(task)) == (
        "completed",
        [("undecided", None)],
        0.45,
    )
    assert stored(task)[0]["evidence"] == NO_ARM


def test_a_judge_that_is_disabled_meanwhile_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    Arm.objects.filter(name="judge").update(health="down")
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (task.status, steps("state", "waits_for", role="judge")) == (
        "processing",
        [("ready", "arm")],
    )
    Arm.objects.filter(name="judge").update(is_enabled=False)
    task = go_on(worker, task)
    assert (task.status, verdicts(task)) == ("completed", [("undecided", None)])


# Judges that fail


def test_a_judge_that_is_down_parks_the_check_and_costs_no_time(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    Arm.objects.filter(name="judge").update(health="down")
    task = carried_out(worker, acceptance_criteria=[POLITE], max_time_seconds=60)
    assert go_on(worker, task, after_seconds=3_600).status == "processing"
    Arm.objects.filter(name="judge").update(health="healthy")
    task = go_on(worker, task)
    assert (task.status, verdicts(task)) == ("completed", [("met", "arm")])


def test_an_outage_of_the_judge_is_tried_again(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = in_turn(says_status("503 Service Unavailable"), judges(True))
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert task.status == "processing"
    task = go_on(worker, task)
    assert (task.status, verdicts(task)) == ("completed", [("met", "arm")])
    assert len({*judge.keys}) == 1


def test_a_judge_that_stays_away_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = says_status("503 Service Unavailable")
    task = carried_out(worker, acceptance_criteria=[POLITE])
    for _ in range(5):
        task = go_on(worker, task)
    assert (task.status, verdicts(task)) == ("completed", [("undecided", None)])
    assert (stored(task)[0]["evidence"], len(judge.work)) == (NO_VERDICT, 4)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says_status("400 Bad Request"), id="refused"),
        pytest.param(fails("validation", status="422 Unprocessable Entity"), id="failed"),
        pytest.param(says({"success": False}), id="no-success"),
        pytest.param(says(b"All criteria are met."), id="prose"),
    ],
)
def test_a_judge_that_refuses_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, behaviour: Any
) -> None:
    judge.behaviour = behaviour
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (task.status, verdicts(task)) == ("completed", [("undecided", None)])
    assert (len(judge.work), confidence(task)) == (1, 0.45)


def test_a_judge_whose_answer_is_blocked_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    reflex_layer.behaviour = reflex_in_turn(
        reflex_says(answer()), reflex_says(injection("Critical"))
    )
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert steps("state", "failure_code", role="judge") == [("failed", "output_refused")]
    assert (task.status, verdicts(task)) == ("completed", [("undecided", None)])


def test_a_judge_that_takes_too_long_ends_the_run_with_its_result(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = hangs()
    task = carried_out(worker, acceptance_criteria=[POLITE], max_time_seconds=1)
    assert (task.status, failure(task), result(task)) == ("failed", "timed_out", "done")
    assert verdicts(task) == [("undecided", None)]


# Repairs


def test_a_repair_is_given_the_result_and_what_failed_and_why(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("Go away"), works("Thank you"))
    issue = {"severity": "error", "message": "It is rude.", "location": POLITE}
    judge.behaviour = in_turn(judges(False, True, issues=[issue]), judges(True))
    criteria = [POLITE, FUNNY]
    task = carried_out(worker, acceptance_criteria=criteria, goal="Reply", context={"to": "Bob"})
    assert (task.status, result(task)) == ("completed", "Thank you")
    repair = contract(arm.work[1])
    assert (repair["goal"], repair["acceptance_criteria"]) == ("Reply", criteria)
    assert repair["context"] == {
        "to": "Bob",
        "repair": {
            "result": "Go away",
            "failed": [{"criterion": POLITE, "why": "It is rude."}],
        },
    }
    # All is checked again.
    assert judge.work[1].json["acceptance_criteria"] == criteria
    assert verdicts(task) == [("met", "arm"), ("met", "arm")]


def test_what_a_rule_refuses_is_repaired_before_a_judge_is_asked(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("Thank you very much"), works("Thank you"))
    task = carried_out(worker, acceptance_criteria=[SHORT, POLITE])
    assert (task.status, result(task), len(judge.work)) == ("completed", "Thank you", 1)
    assert [event.data["met"] for event in Event.objects.filter(kind="check")] == [0, 2]


def test_there_are_two_repairs_at_most_and_the_last_result_is_kept(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(*(works(f"rude {number}") for number in range(1, 6)))
    judge.behaviour = judges(False)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (task.status, failure(task), result(task)) == ("failed", "criteria_not_met", "rude 3")
    assert (len(arm.work), len(judge.work)) == (3, 3)
    assert (verdicts(task), confidence(task)) == ([("not_met", "arm")], 0)
    assert [repair.json["task_contract"]["context"]["repair"]["result"] for repair in
        arm.work[1:]] == ["rude 1", "rude 2"]  # fmt: skip


def test_the_same_answer_again_ends_the_repairs(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = works({"text": "rude"})
    judge.behaviour = judges(False)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (failure(task), result(task)) == ("criteria_not_met", {"text": "rude"})
    assert (len(arm.work), len(judge.work)) == (2, 1)


def test_a_repair_that_fails_leaves_the_result_there_was(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("rude"), fails("validation"))
    judge.behaviour = judges(False)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (task.status, failure(task), result(task)) == ("failed", "arm_failed", "rude")
    assert verdicts(task) == [("not_met", "arm")]


def test_the_result_of_a_plan_is_repaired_as_a_whole(
    worker: Hand, arm: ScriptedArm, planner: ScriptedArm, judge: ScriptedArm
) -> None:
    planner.behaviour = plans(step(1), step(2))
    arm.behaviour = in_turn(works("one"), works("two"), works("both"))
    judge.behaviour = in_turn(judges(False), judges(True))
    task = carried_out(worker, **PLANNED, acceptance_criteria=[POLITE])
    assert judge.work[0].json["output"] == {"1": "one", "2": "two"}
    assert contract(arm.work[2])["context"]["repair"]["result"] == {"1": "one", "2": "two"}
    assert (judge.work[1].json["output"], result(task)) == ("both", "both")


def test_the_confidence_is_that_of_the_repaired_answer(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    sure = succeeds("sure", provenance={"confidence": 1})
    arm.behaviour = in_turn(works("rude"), sure)
    judge.behaviour = in_turn(judges(False), judges(True, None, confidence=0.6))
    task = carried_out(worker, acceptance_criteria=[POLITE, FUNNY])
    assert (task.status, confidence(task)) == ("completed", 0.55)


def test_a_failed_task_can_be_requeued_and_is_checked_anew(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("rude"), works("rude"), works("Thank you"))
    judge.behaviour = in_turn(judges(False), judges(True))
    task = carried_out(worker, acceptance_criteria=[POLITE])
    task.requeue()
    task = go_on(worker, task)
    assert task.status == "completed"
    assert [run.verdicts[0]["verdict"] for run in Run.objects.order_by("number")] == [
        "not_met",
        "met",
    ]
