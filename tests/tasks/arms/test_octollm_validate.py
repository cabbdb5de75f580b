"""Judges that speak `octollm`, on real sockets."""

from decimal import Decimal
from typing import Any

import pytest

from tasks.arms.description import Capability
from tasks.arms.exceptions import TooLittleBudget
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.work import Answer, Usage
from tests.arms import PROVENANCE, ScriptedArm, says
from tests.tasks.arms.calls import KEY, call, evidence_of, octollm, sent, verdicts_of, work

SCORE = "Sentiment score between -1 and 1"
SHORT = "At most 100 words"
CRITERIA = [SCORE, SHORT]


@pytest.fixture
def adapter(scripted: ScriptedArm) -> OctollmAdapter:
    return OctollmAdapter(octollm(scripted))


def body(adapter: OctollmAdapter, criteria: list[str] = CRITERIA, **fields: Any) -> bytes:
    values = {"output": {"sentiment": 0.4}} | fields
    return adapter.request(
        work(capability=Capability.VALIDATE, acceptance_criteria=criteria, **values)
    ).body


def answer_with(
    scripted: ScriptedArm, adapter: OctollmAdapter, answer: Any, criteria: list[str] = CRITERIA
) -> Answer:
    scripted.behaviour = says(answer)
    return call(adapter, body=body(adapter, criteria), capability=Capability.VALIDATE)


def issue(message: Any, *, severity: str = "error", **fields: Any) -> dict[str, Any]:
    return {"severity": severity, "message": message, "suggestion": "Try again."} | fields


# The request


def test_the_request_is_that_of_the_protocol(adapter: OctollmAdapter) -> None:
    request = adapter.request(
        work(capability=Capability.VALIDATE, acceptance_criteria=CRITERIA, output=["Größte", None])
    )

    assert sent(request.body) == {
        "output": ["Größte", None],
        "validation_types": ["criteria"],
        "acceptance_criteria": CRITERIA,
        "context": {"reviews": ["Größte Freude"]},
        "request_id": str(KEY),
    }
    assert (request.tokens, request.cost_usd) == (2_000, Decimal("0.5"))


def test_there_is_no_request_without_tokens(adapter: OctollmAdapter) -> None:
    with pytest.raises(TooLittleBudget):
        adapter.request(work(capability=Capability.VALIDATE, max_tokens=0))


def test_the_bytes_and_headers_arrive(scripted: ScriptedArm) -> None:
    adapter = OctollmAdapter(octollm(scripted), "s3cret")
    scripted.behaviour = says({"valid": True})

    call(adapter, body=body(adapter), capability=Capability.VALIDATE, request_id="request-1")

    [request] = scripted.requests
    assert (request.method, request.path, request.body) == ("POST", "/validate", body(adapter))
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["x-request-id"] == "request-1"
    assert scripted.keys == [str(KEY)]


# Verdicts


def test_an_answer_has_a_verdict_for_each_criterion(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    answer = {
        "valid": False,
        "confidence": 0.8,
        "issues": [issue("The text has 120 words.", type="length", location="/text")],
        "passed_criteria": [SCORE],
        "failed_criteria": [SHORT],
        "quality_score": 0.3,
        "provenance": PROVENANCE,
    }

    verdicts = [
        {"criterion": 1, "verdict": "met", "evidence": "", "confidence": 0.8},
        {
            "criterion": 2,
            "verdict": "not_met",
            "evidence": "The text has 120 words.",
            "confidence": 0.8,
        },
    ]
    assert answer_with(scripted, adapter, answer) == Answer(
        {"verdicts": verdicts}, 0.8, Usage(30, Decimal("0.0125"))
    )


def test_without_a_provenance_the_usage_is_unknown(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    assert answer_with(scripted, adapter, {"valid": True}).usage == Usage()


@pytest.mark.parametrize("reported", [None, "0.8", True, 1.5, -1, [0.8]])
def test_a_confidence_that_cannot_be_one_is_half(
    scripted: ScriptedArm, adapter: OctollmAdapter, reported: Any
) -> None:
    answer = answer_with(
        scripted, adapter, {"valid": True, "confidence": reported, "passed_criteria": CRITERIA}
    )

    assert [one["confidence"] for one in answer.result["verdicts"]] == [0.5, 0.5]
    assert answer.confidence == 0.5


LISTS: dict[str, tuple[Any, Any, str]] = {
    "passed": (CRITERIA, [], "MM"),
    "failed": ([], CRITERIA, "NN"),
    "another-order": ([SHORT, SCORE], [], "MM"),
    "spaces-around": ([f" {SCORE}\n"], [f"{SHORT} "], "MN"),
    "missing-list": (CRITERIA, None, "MM"),
    "in-neither": ([SHORT], [], "UM"),
    "in-both": (CRITERIA, [SHORT], "MU"),
    "twice": ([SCORE, SCORE], [SHORT, f" {SHORT}"], "UU"),
    "not-asked": (["All criteria", "*", "No. 1", "1"], ["2"], "UU"),
    "other-letters": ([SCORE.upper(), SHORT + "."], [], "UU"),
    "not-asked-beside-asked": (["Anything", SCORE, SHORT], ["More"], "MM"),
    "numbers": ([1, 2], [], "UU"),
    "truths": ([True, True], [], "UU"),
    "objects": ([{"criterion": SCORE}, [SHORT]], [], "UU"),
    # A list that cannot be read may contradict the other.
    "text-for-a-list": (" ".join(CRITERIA), [], "UU"),
    "truth-for-a-list": (True, [], "UU"),
    "object-for-a-list": (dict.fromkeys(CRITERIA, True), [], "UU"),
    "text-for-the-other-list": (CRITERIA, "none", "UU"),
    "text-beside-failed": ("none", CRITERIA, "UU"),
}


@pytest.mark.parametrize(("passed", "failed", "verdicts"), LISTS.values(), ids=LISTS.keys())
def test_a_criterion_in_exactly_one_list_is_decided(
    scripted: ScriptedArm, adapter: OctollmAdapter, passed: Any, failed: Any, verdicts: str
) -> None:
    answer = {"passed_criteria": passed, "failed_criteria": failed}

    assert verdicts_of(answer_with(scripted, adapter, answer)) == verdicts


@pytest.mark.parametrize(
    ("passed", "failed", "verdicts"),
    [
        ([SHORT], [SCORE], "NMN"),
        ([], [SCORE, SCORE], "UUU"),
        ([SCORE], [SCORE], "UUU"),
    ],
    ids=["once", "twice", "both"],
)
def test_a_criterion_that_was_asked_twice_has_one_verdict(
    scripted: ScriptedArm,
    adapter: OctollmAdapter,
    passed: list[str],
    failed: list[str],
    verdicts: str,
) -> None:
    answer = {"passed_criteria": passed, "failed_criteria": failed}
    criteria = [SCORE, SHORT, f"{SCORE} "]

    assert verdicts_of(answer_with(scripted, adapter, answer, criteria)) == verdicts


@pytest.mark.parametrize(
    ("valid", "passed", "failed", "verdicts"),
    [
        (True, CRITERIA, [], "MM"),
        (None, CRITERIA, [], "MM"),
        (False, CRITERIA, [], "UU"),
        (False, CRITERIA, ["Not asked"], "UU"),
        ("false", CRITERIA, [], "UU"),
        ([], CRITERIA, [], "UU"),
        (False, [SCORE], [], "MU"),
        (False, [SCORE], [SHORT], "MN"),
        (True, [], CRITERIA, "NN"),
        (True, [], [], "UU"),
    ],
    ids=[
        "valid-and-met",
        "unknown-and-met",
        "invalid-and-met",
        "invalid-for-another-reason",
        "text-and-met",
        "list-and-met",
        "invalid-and-undecided",
        "invalid-and-failed",
        "valid-and-failed",
        "valid-without-lists",
    ],
)
def test_valid_decides_nothing_but_may_contradict(
    scripted: ScriptedArm,
    adapter: OctollmAdapter,
    valid: Any,
    passed: list[str],
    failed: list[str],
    verdicts: str,
) -> None:
    answer = {"valid": valid, "passed_criteria": passed, "failed_criteria": failed}

    assert verdicts_of(answer_with(scripted, adapter, answer)) == verdicts


@pytest.mark.parametrize(
    "answer",
    [{}, {"valid": True, "quality_score": 1}, {"verdicts": [{"criterion": 1, "verdict": "met"}]}],
    ids=["empty", "only-valid", "another-protocol"],
)
def test_an_answer_without_lists_decides_nothing(
    scripted: ScriptedArm, adapter: OctollmAdapter, answer: Any
) -> None:
    undecided = [
        {"criterion": number, "verdict": "undecided", "evidence": "", "confidence": 0.5}
        for number in (1, 2)
    ]

    assert answer_with(scripted, adapter, answer).result == {"verdicts": undecided}


def test_without_criteria_there_are_no_verdicts(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    answer = answer_with(scripted, adapter, {"valid": True, "passed_criteria": [SCORE]}, [])

    assert answer.result == {"verdicts": []}


def test_the_output_has_no_say(scripted: ScriptedArm, adapter: OctollmAdapter) -> None:
    scripted.behaviour = says({"valid": False, "failed_criteria": CRITERIA})
    output = {"valid": True, "passed_criteria": CRITERIA, "acceptance_criteria": []}

    answer = call(adapter, body=body(adapter, output=output), capability=Capability.VALIDATE)

    assert verdicts_of(answer) == "NN"


# Evidence


ISSUES: dict[str, tuple[Any, list[str]]] = {
    "location": ([issue("Too high.", location=f"criterion: {SCORE}")], ["Too high.", ""]),
    "type": ([issue("Too long.", type=SHORT)], ["", "Too long."]),
    "message": ([issue(f"{SHORT} is not met.")], ["", f"{SHORT} is not met."]),
    "no-criterion": ([issue("Something.")], ["", ""]),
    "the-first": ([issue("One", type=SCORE), issue("Two", type=SCORE)], ["One", ""]),
    "info": ([issue("Seen.", severity="info", type=SCORE)], ["Seen.", ""]),
    "message-of-numbers": ([issue(5, type=SCORE)], ["", ""]),
    "no-message": ([{"type": SCORE, "severity": "error"}], ["", ""]),
    "odd-places": ([issue("Odd.", type=[SCORE], location={"a": SHORT})], ["", ""]),
    "no-objects": ([SCORE, None, [issue("x", type=SCORE)]], ["", ""]),
    "a-text": (SCORE, ["", ""]),
    "an-object": (issue("x", type=SCORE), ["", ""]),
    "null": (None, ["", ""]),
}


@pytest.mark.parametrize(("issues", "evidence"), ISSUES.values(), ids=ISSUES.keys())
def test_an_issue_that_names_a_criterion_is_its_evidence(
    scripted: ScriptedArm, adapter: OctollmAdapter, issues: Any, evidence: list[str]
) -> None:
    answer = {"failed_criteria": CRITERIA, "issues": issues}

    assert evidence_of(answer_with(scripted, adapter, answer)) == evidence


@pytest.mark.parametrize(
    ("issues", "evidence"),
    [
        ([issue("Too long."), issue("Fine.", severity="info")], "Too long."),
        ([issue("Named.", severity="warning", type=SHORT), issue("Error.")], "Named."),
        ([issue("One."), issue("Two.")], ""),
        ([issue("Fine.", severity="warning")], ""),
    ],
    ids=["one-error", "a-named-one-first", "two-errors", "no-error"],
)
def test_the_only_error_is_the_evidence_of_the_only_failure(
    scripted: ScriptedArm, adapter: OctollmAdapter, issues: Any, evidence: str
) -> None:
    answer = {"passed_criteria": [SCORE], "failed_criteria": [SHORT], "issues": issues}

    assert evidence_of(answer_with(scripted, adapter, answer)) == ["", evidence]


def test_an_undecided_criterion_has_no_evidence(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    answer = {"failed_criteria": [SCORE, SCORE], "issues": [issue("Too high.", type=SCORE)]}

    assert evidence_of(answer_with(scripted, adapter, answer)) == ["", ""]


def test_an_empty_criterion_is_not_named_by_every_issue(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    answer = {"failed_criteria": ["", SCORE], "issues": [issue("Something.")]}

    assert evidence_of(answer_with(scripted, adapter, answer, [" ", SCORE])) == ["", ""]


def test_evidence_is_one_line_that_can_be_stored(
    scripted: ScriptedArm, adapter: OctollmAdapter
) -> None:
    message = " Too\0 long:\r\n\t<b>\ud800120</b> \u2028words\x1b[31m "
    answer = {"passed_criteria": [SCORE], "failed_criteria": [SHORT], "issues": [issue(message)]}

    evidence = evidence_of(answer_with(scripted, adapter, answer))

    assert evidence == ["", "Too long: <b> 120</b> words [31m"]
