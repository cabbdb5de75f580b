"""Verdicts of rules, arms and persons, how they are put together, and the confidence."""

from typing import Any

import pytest

from tasks.arms import forms
from tasks.arms.forms import CriterionVerdict
from tasks.execution.runs.criteria import (
    NO_ARM,
    NO_VERDICT,
    JudgedBy,
    Judgement,
    by_person,
    by_rules,
    confidence,
    judgement_of,
    with_verdicts_of_arm,
    without_judge,
)

MET, NOT_MET, UNDECIDED = CriterionVerdict
POLITE = "The tone is polite"
OPEN = Judgement()
AT_MOST = "At most 3 words"
SHORT = Judgement(MET, JudgedBy.RULE, forms.judge(AT_MOST, "Thank you").evidence, 1.0)
# As `tasks.arms` reads an answer.
SAYS_MET = {"criterion": 1, "verdict": "met", "evidence": "It thanks twice.", "confidence": 0.8}
NOBODY_SAID = Judgement(evidence=NO_VERDICT)


def said(*verdicts: Any) -> dict[str, Any]:
    return {"verdicts": [*verdicts]}


def test_rules_decide_what_they_understand() -> None:
    assert by_rules([AT_MOST, POLITE], "Thank you") == [SHORT, OPEN]


def test_rules_say_what_is_not_met_and_why() -> None:
    result = "Thank you very much"
    assert by_rules([AT_MOST], result) == [
        Judgement(NOT_MET, JudgedBy.RULE, forms.judge(AT_MOST, result).evidence, 1.0)
    ]


def test_what_a_rule_understands_but_cannot_decide_stays_open() -> None:
    assert by_rules(["`score` is at least 3"], {"name": "ann"}) == [OPEN]


def test_the_verdict_of_an_arm_is_taken_with_its_evidence_and_confidence() -> None:
    assert with_verdicts_of_arm([OPEN], said(SAYS_MET)) == [
        Judgement(MET, JudgedBy.ARM, "It thanks twice.", 0.8)
    ]


def test_an_arm_is_heard_about_open_criteria_only_which_it_knows_by_their_numbers() -> None:
    second = {"criterion": 2, "verdict": "not_met", "evidence": "No joke.", "confidence": 0.7}
    unasked = {"criterion": 3, "verdict": "not_met", "evidence": "Long.", "confidence": 1}

    judgements = with_verdicts_of_arm([OPEN, SHORT, OPEN], said(second, unasked, SAYS_MET))

    assert judgements == [
        Judgement(MET, JudgedBy.ARM, "It thanks twice.", 0.8),
        SHORT,
        Judgement(NOT_MET, JudgedBy.ARM, "No joke.", 0.7),
    ]


def test_an_arm_that_cannot_decide_says_why() -> None:
    undecided = SAYS_MET | {"verdict": "undecided", "evidence": "It depends.", "confidence": 0.9}
    assert with_verdicts_of_arm([OPEN], said(undecided)) == [
        Judgement(UNDECIDED, JudgedBy.ARM, "It depends.", 0.5)
    ]


def test_an_arm_that_cannot_decide_and_does_not_say_why_did_not_decide() -> None:
    undecided = SAYS_MET | {"verdict": "undecided", "evidence": ""}
    assert with_verdicts_of_arm([OPEN], said(undecided)) == [
        Judgement(UNDECIDED, JudgedBy.ARM, NO_VERDICT, 0.5)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="no-answer"),
        pytest.param("[NAME]", id="a-text"),
        pytest.param({}, id="no-verdicts"),
        pytest.param({"verdicts": None}, id="nothing"),
        pytest.param({"verdicts": 7}, id="a-number"),
        pytest.param({"verdicts": {"1": SAYS_MET}}, id="an-object"),
        pytest.param(said(), id="an-empty-list"),
        pytest.param(said("met", None, ["met"]), id="no-objects"),
        pytest.param(said({}), id="an-empty-object"),
        pytest.param(said(SAYS_MET | {"criterion": 2}), id="of-another-criterion"),
        # Screening may put labels into texts, and into numbers.
        pytest.param(said(SAYS_MET | {"criterion": "[PHONE]"}), id="redacted-number"),
        pytest.param(said(SAYS_MET | {"criterion": True}), id="true-as-number"),
        pytest.param(said(SAYS_MET | {"criterion": [1]}), id="a-list-as-number"),
        pytest.param(said(SAYS_MET | {"verdict": "[NAME]"}), id="redacted-verdict"),
        pytest.param(said(SAYS_MET | {"verdict": "MET"}), id="upper-case"),
        pytest.param(said(SAYS_MET | {"verdict": True}), id="true-as-verdict"),
        pytest.param(said(SAYS_MET | {"verdict": ["met"]}), id="a-list-as-verdict"),
        pytest.param(said(SAYS_MET | {"verdict": {"met": 1}}), id="an-object-as-verdict"),
    ],
)
def test_without_a_verdict_that_can_be_read_a_criterion_is_undecided(answer: Any) -> None:
    assert with_verdicts_of_arm([OPEN, SHORT], answer) == [NOBODY_SAID, SHORT]


@pytest.mark.parametrize("value", ["[PHONE]", None, 2, -1, True, [0.5]])
def test_a_confidence_that_is_none_counts_as_a_half(value: Any) -> None:
    [judgement] = with_verdicts_of_arm([OPEN], said(SAYS_MET | {"confidence": value}))
    assert (judgement.verdict, judgement.confidence) == (MET, 0.5)


def test_evidence_may_be_redacted() -> None:
    [judgement] = with_verdicts_of_arm([OPEN], said(SAYS_MET | {"evidence": "Thanks [NAME]."}))
    assert judgement.evidence == "Thanks [NAME]."


def test_without_a_judge_what_is_open_says_so() -> None:
    assert without_judge([OPEN, SHORT]) == [Judgement(evidence=NO_ARM), SHORT]


@pytest.mark.parametrize(
    ("accepts", "decided"),
    [
        (True, Judgement(MET, JudgedBy.PERSON, "A person accepted the result.", 1.0)),
        (False, Judgement(NOT_MET, JudgedBy.PERSON, "A person rejected the result.", 1.0)),
    ],
)
def test_a_person_decides_what_is_open(*, accepts: bool, decided: Judgement) -> None:
    assert by_person([SHORT, NOBODY_SAID], accepts=accepts) == [SHORT, decided]


@pytest.mark.parametrize("judgement", [OPEN, SHORT, NOBODY_SAID])
def test_a_judgement_is_read_as_it_was_stored(judgement: Judgement) -> None:
    assert judgement_of(judgement.stored) == judgement


def test_a_stored_judgement_is_plain() -> None:
    assert Judgement(MET, JudgedBy.RULE, "Short.", 1.0).stored == {
        "verdict": "met",
        "by": "rule",
        "evidence": "Short.",
        "confidence": 1.0,
    }


def of(verdict: CriterionVerdict, value: float = 1.0) -> Judgement:
    return Judgement(verdict, JudgedBy.ARM, "", value)


@pytest.mark.parametrize(
    ("of_answers", "judgements", "expected"),
    [
        pytest.param([0.9], [], 0.9, id="no-criteria"),
        pytest.param([0.9, 0.4, 0.8], [], 0.4, id="the-lowest-answer"),
        pytest.param([], [], 0.5, id="no-answer"),
        pytest.param([0.8], [of(MET)], 0.8, id="met"),
        pytest.param([0.8], [of(MET, 0.5)], 0.4, id="met-with-doubt"),
        pytest.param([0.8], [of(NOT_MET)], 0, id="not-met"),
        # However sure the judge was that it cannot decide.
        pytest.param([0.8], [of(UNDECIDED, 0.9)], 0.4, id="undecided"),
        pytest.param([0.8], [of(MET), of(NOT_MET)], 0.4, id="one-of-two-met"),
        pytest.param([0.8, 1], [of(MET), of(UNDECIDED)], 0.6, id="the-mean-of-criteria"),
    ],
)
def test_confidence_is_the_lowest_answer_times_the_mean_of_the_criteria(
    of_answers: list[float], judgements: list[Judgement], expected: float
) -> None:
    assert confidence(of_answers, judgements) == pytest.approx(expected)
