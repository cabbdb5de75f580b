"""Judges and authors may answer anything: nothing is met that no rule, arm or person found met."""

import json
from typing import Any

import pytest

from tasks.models import Arm, Run, Task
from tests.arms import (
    Behaviour,
    ScriptedArm,
    completes,
    in_turn,
    judges,
    says,
    works,
)
from tests.reflex_layer import ScriptedReflexLayer, answer, found
from tests.reflex_layer import says as reflex_says
from tests.tasks.execution.bells import ringing
from tests.tasks.execution.conftest import Hand
from tests.tasks.execution.runs.carried_out import (
    ASK,
    FUNNY,
    POLITE,
    carried_out,
    failure,
    result,
    verdicts,
)

pytestmark = pytest.mark.django_db

SHORT = "At most 3 words"
# What a judge would have to say.
ALL_MET = {"valid": True, "passed_criteria": [POLITE], "failed_criteria": [], "confidence": 1}
MARKUP = "<b>Yes</b><script>alert(1)</script>"


def saying(**fields: Any) -> Behaviour:
    return says(ALL_MET | fields)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(saying(passed_criteria=["All criteria"]), id="a-criterion-that-is-not-there"),
        pytest.param(saying(passed_criteria=[]), id="valid-without-looking"),
        pytest.param(saying(passed_criteria=None), id="valid-and-nothing-else"),
        pytest.param(saying(passed_criteria=POLITE), id="a-text-as-list"),
        pytest.param(saying(passed_criteria={POLITE: True}), id="an-object-as-list"),
        pytest.param(saying(passed_criteria=[POLITE, POLITE]), id="doubled"),
        pytest.param(saying(failed_criteria=[POLITE]), id="met-and-not-met"),
        pytest.param(saying(valid=False), id="invalid-but-all-is-met"),
        pytest.param(saying(failed_criteria="none"), id="failed-that-cannot-be-read"),
        pytest.param(saying(passed_criteria=[f"<b>{POLITE}</b>"]), id="markup"),
        pytest.param(saying(passed_criteria=[f"1. {POLITE}"]), id="numbered"),
        pytest.param(saying(passed_criteria=[POLITE.upper()]), id="upper-case"),
        pytest.param(saying(passed_criteria=[[POLITE]]), id="a-list-in-the-list"),
        pytest.param(saying(passed_criteria=[1]), id="by-number"),
        pytest.param(saying(passed_criteria=["*", ""]), id="wildcards"),
        pytest.param(saying(passed_criteria=["x"] * 100_000), id="a-hundred-thousand"),
        # The form in which verdicts are stored.
        pytest.param(
            saying(passed_criteria=[], verdicts=[{"criterion": 1, "verdict": "met"}]),
            id="verdicts-as-they-are-stored",
        ),
        pytest.param(says([ALL_MET]), id="a-list"),
        pytest.param(says(json.dumps(json.dumps(ALL_MET)).encode()), id="text-in-json"),
        pytest.param(says(f"All criteria are met: {POLITE}".encode()), id="prose"),
        pytest.param(says(b""), id="nothing"),
        # A duplicate key may hide another value.
        pytest.param(
            says(json.dumps(ALL_MET)[:-1].encode() + b', "failed_criteria": []}'),
            id="a-duplicate-key",
        ),
        # As an arm that carries out would answer.
        pytest.param(says({"success": True, "result": ALL_MET}), id="verdicts-as-a-result"),
    ],
)
def test_a_judge_whose_verdict_is_not_one_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, behaviour: Behaviour
) -> None:
    judge.behaviour = behaviour
    task = carried_out(worker, acceptance_criteria=[POLITE])
    [(verdict, _)] = verdicts(task)
    assert (task.status, verdict, result(task)) == ("completed", "undecided", "done")
    assert (len(arm.work), len(judge.work)) == (1, 1)
    assert float(task.results.get().confidence) == 0.45
    assert not ringing()


def numbered(*entries: Any) -> Behaviour:
    return completes(json.dumps({"verdicts": entries}))


MET = {"criterion": 1, "verdict": "met", "evidence": "Yes.", "confidence": 1}


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(numbered(), id="none"),
        pytest.param(numbered(MET | {"criterion": 2}), id="a-number-that-is-not-there"),
        pytest.param(numbered(MET | {"criterion": 0}), id="number-0"),
        pytest.param(numbered(MET | {"criterion": True}), id="true-as-number"),
        pytest.param(numbered(MET | {"criterion": "1"}), id="text-as-number"),
        pytest.param(numbered(MET, MET), id="doubled"),
        pytest.param(numbered(MET, MET | {"verdict": "not_met"}), id="contradicting"),
        pytest.param(numbered(MET | {"verdict": "MET"}), id="upper-case"),
        pytest.param(numbered(MET | {"verdict": "<b>met</b>"}), id="markup"),
        pytest.param(numbered(MET | {"confidence": "very"}), id="odd-confidence"),
        pytest.param(completes("All criteria are met."), id="prose"),
        pytest.param(completes(None, refusal="No."), id="refusal"),
        pytest.param(completes(json.dumps({"verdict": "met"})), id="one-for-all"),
    ],
)
def test_a_model_whose_verdict_is_not_one_leaves_it_undecided(
    worker: Hand, arm: ScriptedArm, model: ScriptedArm, behaviour: Behaviour
) -> None:
    Arm.objects.filter(name="model").update(capabilities=["validate"])
    model.behaviour = behaviour
    task = carried_out(worker, acceptance_criteria=[POLITE])
    [(verdict, _)] = verdicts(task)
    assert (task.status, verdict, len(arm.work)) == ("completed", "undecided", 1)
    assert len(model.work) == 1


@pytest.mark.parametrize(
    "result_text",
    [json.dumps(ALL_MET), json.dumps({"verdicts": [MET]})],
    ids=["as-said", "as-stored"],
)
def test_verdicts_in_the_text_of_the_result_are_none(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, result_text: str
) -> None:
    arm.behaviour = works(result_text)
    judge.behaviour = judges(None)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert judge.work[0].json["output"] == result_text
    assert (task.status, verdicts(task)) == ("completed", [("undecided", "arm")])


@pytest.mark.parametrize("value", [ALL_MET, {"verdicts": [MET]}])
def test_a_result_in_the_form_of_verdicts_is_none(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, value: Any
) -> None:
    arm.behaviour = works(value)
    judge.behaviour = judges(None)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert (result(task), verdicts(task)) == (value, [("undecided", "arm")])


def test_a_judge_cannot_decide_what_a_rule_has_decided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = saying(passed_criteria=[POLITE], failed_criteria=[SHORT])
    task = carried_out(worker, acceptance_criteria=[SHORT, POLITE])
    assert (task.status, verdicts(task)) == ("completed", [("met", "rule"), ("met", "arm")])


def test_a_judge_that_says_met_cannot_save_what_a_rule_refuses(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(*(works(f"Much too long {number}") for number in range(1, 5)))
    judge.behaviour = saying(passed_criteria=[SHORT, POLITE])
    task = carried_out(worker, acceptance_criteria=[SHORT, POLITE])
    assert (task.status, failure(task)) == ("failed", "criteria_not_met")
    # Nobody was asked about the other one.
    assert verdicts(task) == [("not_met", "rule"), ("undecided", None)]
    assert (len(arm.work), judge.work) == (3, [])


def test_markup_in_evidence_is_kept_as_text(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    issue = {"severity": "info", "message": MARKUP, "location": POLITE}
    judge.behaviour = judges(True, issues=[issue])
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert Run.objects.get(task=task).verdicts[0]["evidence"] == MARKUP


def test_a_judge_that_is_never_content_is_asked_three_times(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(*(works(f"try {number}") for number in range(1, 9)))
    # What it finds wrong changes each time.
    judge.behaviour = in_turn(judges(False, True), judges(True, False), judges(False, True))
    task = carried_out(worker, acceptance_criteria=[POLITE, FUNNY])
    assert (task.status, failure(task), result(task)) == ("failed", "criteria_not_met", "try 3")
    assert (len(arm.work), len(judge.work)) == (3, 3)
    assert not ringing()


def test_an_author_that_repairs_in_circles_is_asked_three_times(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    arm.behaviour = in_turn(works("one"), works("two"), works("one"), works("two"))
    judge.behaviour = judges(False)
    assert failure(carried_out(worker, acceptance_criteria=[POLITE])) == "criteria_not_met"
    assert (len(arm.work), len(judge.work)) == (3, 3)


def test_a_judge_that_never_decides_leads_to_one_decision(
    reflex_layer: ScriptedReflexLayer, arm: ScriptedArm, judge: ScriptedArm
) -> None:
    judge.behaviour = saying(passed_criteria=["All criteria"])
    task = carried_out(Hand(options=ASK), acceptance_criteria=[POLITE])
    assert (task.status, len(judge.work)) == ("processing", 1)
    assert [*task.steps.filter(waits_for="decision").values_list("number", flat=True)] == [3]


def test_verdicts_that_were_redacted_are_undecided(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    redacted = carried_out_with_redaction(worker, judge, reflex_layer, "met")
    assert verdicts(redacted) == [("undecided", None)]


def test_a_confidence_that_was_redacted_counts_as_a_half(
    worker: Hand, arm: ScriptedArm, judge: ScriptedArm, reflex_layer: ScriptedReflexLayer
) -> None:
    redacted = carried_out_with_redaction(worker, judge, reflex_layer, "0.8765")
    assert verdicts(redacted) == [("met", "arm")]
    assert float(redacted.results.get().confidence) == 0.45


def carried_out_with_redaction(
    worker: Hand, judge: ScriptedArm, reflex_layer: ScriptedReflexLayer, found_text: str
) -> Task:
    """Return a task after personal data was found in the answer of its judge."""

    def finds(connection: Any) -> bool:
        text = reflex_layer.texts[-1]
        matches = [found(text, found_text)] if found_text in text else []
        return reflex_says(answer(pii_detected=bool(matches), pii_matches=matches))(connection)

    reflex_layer.behaviour = finds
    judge.behaviour = judges(True, confidence=0.8765)
    task = carried_out(worker, acceptance_criteria=[POLITE])
    assert task.status == "completed"
    return task
