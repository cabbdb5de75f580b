"""The gate for the answers of arms, built from the settings: its policy, its calls, its circuit."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from safety.document import MAX_ANSWER_TEXT_BYTES, MAX_TEXT_BYTES, Document
from safety.exceptions import NotAsked, NoVerdict
from safety.findings import PII_TYPES, Severity
from safety.gate import answer_gate, gate
from safety.policy import PiiAction, Verdict
from safety.screening import Screening
from tests.reflex_layer import (
    Behaviour,
    ScriptedReflexLayer,
    answer,
    found,
    hangs,
    in_turn,
    injection,
    pii,
    resets,
    says,
)
from tests.safety.test_gate import added, circuit_state, counted
from tests.safety.test_metrics import counted as counted_findings
from tests.waiting import wait_until

EMAIL = "jane@example.org"
UNSCREENED_ANSWERS = "octollm_orchestrator_unscreened_answers_total"


def screen(value: Any) -> Screening:
    document = Document({"result": value}, max_text_bytes=MAX_ANSWER_TEXT_BYTES)
    return answer_gate().screen(document, request_id="call-1")


def finds(reflex_layer: ScriptedReflexLayer, secret: str, name: Any = "Email") -> Behaviour:
    def behave(connection: socket.socket) -> bool:
        text = reflex_layer.texts[-1]
        matches = [
            found(text, secret, name, start=match.start(), end=match.end())
            for match in re.finditer(re.escape(secret), text)
        ]
        return says(answer(pii_detected=bool(matches), pii_matches=matches))(connection)

    return behave


@pytest.fixture
def switched_off(settings: Any) -> Iterator[None]:
    settings.ENABLE_REFLEX_INTEGRATION = False
    gate.cache_clear()
    yield
    gate.cache_clear()


# The policy


def test_by_default_personal_data_are_redacted_wherever_they_are(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    reflex_layer.behaviour = finds(reflex_layer, EMAIL)

    screening = screen({"to": [EMAIL, 7, True, None], "text": f"Ask {EMAIL}."})

    assert screening.redaction
    assert screening.redaction.document.fields["result"] == {
        "to": ["[EMAIL]", 7, True, None],
        "text": "Ask [EMAIL].",
    }
    assert (screening.verdict, screening.redacted_types) == (Verdict.SAFE, ("Email",))
    assert reflex_layer.requests[0][2]["x-request-id"] == "call-1"


@pytest.mark.parametrize("value", [EMAIL, [EMAIL], {"mail": EMAIL}])
def test_a_result_of_any_form_is_redacted(reflex_layer: ScriptedReflexLayer, value: Any) -> None:
    reflex_layer.behaviour = finds(reflex_layer, EMAIL)

    redaction = screen(value).redaction

    assert redaction
    assert EMAIL not in str(redaction.document.fields["result"])
    assert type(redaction.document.fields["result"]) is type(value)


@pytest.mark.parametrize(
    ("action", "verdict"),
    [(PiiAction.BLOCK, "blocked"), (PiiAction.REDACT, "safe"), (PiiAction.ALLOW, "safe")],
)
def test_the_action_comes_from_its_own_setting(
    reflex_layer: ScriptedReflexLayer, settings: Any, action: PiiAction, verdict: str
) -> None:
    settings.OUTPUT_PII_ACTION = action
    reflex_layer.behaviour = finds(reflex_layer, EMAIL)

    screening = screen(EMAIL)

    assert screening.verdict == verdict
    assert bool(screening.redaction) is (action is PiiAction.REDACT)


@pytest.mark.parametrize(
    ("severity", "verdicts"),
    [
        (Severity.MEDIUM, ["flagged", "blocked", "blocked", "blocked"]),
        (Severity.HIGH, ["flagged", "flagged", "blocked", "blocked"]),
        (Severity.CRITICAL, ["flagged", "flagged", "flagged", "blocked"]),
    ],
)
def test_the_severity_that_blocks_comes_from_its_own_setting(
    reflex_layer: ScriptedReflexLayer, settings: Any, severity: Severity, verdicts: list[str]
) -> None:
    settings.OUTPUT_INJECTION_BLOCKS_FROM = severity
    found_verdicts = []
    for name in ("Low", "Medium", "High", "Critical"):
        reflex_layer.behaviour = says(injection(name))
        found_verdicts.append(screen("abc").verdict)

    assert found_verdicts == verdicts


def test_the_policy_of_submissions_changes_nothing(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    before = answer_gate().policy_version
    gate.cache_clear()
    settings.PII_ACTION = PiiAction.ALLOW
    settings.PII_ACTION_BY_TYPE = dict.fromkeys(PII_TYPES, PiiAction.BLOCK)
    settings.INJECTION_BLOCKS_FROM = Severity.LOW

    assert answer_gate().policy_version == before
    reflex_layer.behaviour = finds(reflex_layer, EMAIL)
    assert screen(EMAIL).redacted_types == ("Email",)


def test_the_policy_of_answers_changes_nothing_for_submissions(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    before = gate().policy_version, answer_gate().policy_version
    gate.cache_clear()
    settings.OUTPUT_PII_ACTION = PiiAction.ALLOW
    settings.OUTPUT_INJECTION_BLOCKS_FROM = Severity.CRITICAL

    assert gate().policy_version == before[0]
    assert answer_gate().policy_version != before[1]
    reflex_layer.behaviour = says(pii())
    assert gate().screen(Document({"goal": "abc"}), request_id="r").verdict is Verdict.BLOCKED


def test_ignored_types_and_the_severity_that_flags_are_those_of_submissions(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.IGNORED_TYPES = ["Email"]
    settings.INJECTION_FLAGS_FROM = Severity.MEDIUM
    reflex_layer.behaviour = says(pii())
    assert screen("abc").redaction is None
    reflex_layer.behaviour = says(injection("Low"))
    assert screen("abc").verdict is Verdict.SAFE


def test_a_process_has_one_gate_for_answers(reflex_layer: ScriptedReflexLayer) -> None:
    assert answer_gate() is answer_gate()
    assert answer_gate() is not gate()


# Calls


LONG = "x " * MAX_TEXT_BYTES
BLOCKS = says(answer(status="blocked"))
CLEAN = says(answer())
CALLS: list[tuple[list[Behaviour], str, dict[str, float]]] = [
    ([CLEAN], "safe", {"safe": 3}),
    ([CLEAN, says(injection("Low")), CLEAN], "flagged", {"safe": 2, "flagged": 1}),
    ([BLOCKS, CLEAN], "blocked", {"safe": 2, "blocked": 1}),
    ([CLEAN, says(answer(pii_matches=[{}] * 10_001))], "blocked", {"safe": 1, "blocked": 1}),
]


@pytest.mark.parametrize(("sent", "verdict", "calls"), CALLS)
def test_each_call_is_counted_by_the_verdict_on_its_window(
    reflex_layer: ScriptedReflexLayer,
    sent: list[Behaviour],
    verdict: str,
    calls: dict[str, float],
) -> None:
    reflex_layer.behaviour = in_turn(*sent)
    before = counted()

    assert screen(LONG).verdict == verdict
    assert added(before) == calls | {"timed": 1}


def test_a_finding_in_two_windows_is_counted_once(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.OUTPUT_PII_ACTION = PiiAction.ALLOW
    reflex_layer.behaviour = finds(reflex_layer, EMAIL)
    before = counted_findings()

    screen("x" * (MAX_TEXT_BYTES - 500) + f" {EMAIL} " + "x" * 5_000)

    assert [EMAIL in text for text in reflex_layer.texts] == [True, True]
    after = counted_findings()
    assert {key: after[key] - before[key] for key in after if after[key] > before[key]} == {
        ("pii", "Email"): 1
    }


def test_without_a_verdict_on_one_window_there_is_none(reflex_layer: ScriptedReflexLayer) -> None:
    reflex_layer.behaviour = in_turn(CLEAN, says({}, status="500 No"), CLEAN)
    before = counted()

    with pytest.raises(NoVerdict, match="server error") as caught:
        screen(LONG)

    assert caught.value.duration_seconds > 0
    assert added(before) == {"safe": 1, "no_verdict": 1, "timed": 1}


def late(seconds: float) -> Behaviour:
    def behave(connection: socket.socket) -> bool:
        threading.Event().wait(seconds)
        return CLEAN(connection)

    return behave


def test_each_window_has_the_whole_deadline(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.REFLEX_DEADLINE_SECONDS = 0.6
    reflex_layer.behaviour = late(0.3)

    screening = screen(LONG)

    assert screening.verdict is Verdict.SAFE
    assert screening.duration_seconds > 0.9


@pytest.mark.parametrize("behaviour", [hangs(), late(0.5)])
def test_no_window_has_more_than_the_deadline(
    reflex_layer: ScriptedReflexLayer, settings: Any, behaviour: Behaviour
) -> None:
    settings.REFLEX_DEADLINE_SECONDS = 0.2
    reflex_layer.behaviour = in_turn(CLEAN, behaviour)

    with pytest.raises(NoVerdict, match="deadline exceeded"):
        screen(LONG)


# The circuit


def fails(attempt: Callable[[], object]) -> type[NoVerdict]:
    with pytest.raises(NoVerdict) as caught:
        attempt()
    return type(caught.value)


def test_submissions_and_answers_share_one_circuit(reflex_layer: ScriptedReflexLayer) -> None:
    reflex_layer.behaviour = resets
    submit = gate().screen
    for _ in range(5):
        fails(lambda: submit(Document({"goal": "abc"}), request_id="r"))
    wait_until(lambda: circuit_state()["open"])
    before = counted()

    assert fails(lambda: screen("abc")) is NotAsked
    assert added(before) == {"circuit_open": 1}
    assert answer_gate().is_ready(deadline_seconds=1) is False


def test_making_the_gate_does_not_touch_the_state_of_the_circuit(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    reflex_layer.behaviour = resets
    submit = gate().screen
    for _ in range(5):
        fails(lambda: submit(Document({"goal": "abc"}), request_id="r"))
    wait_until(lambda: circuit_state()["open"])

    answer_gate()

    assert circuit_state() == {"closed": 0, "open": 1}


# Switched off


@pytest.mark.usefixtures("switched_off")
def test_when_switched_off_answers_are_unscreened_and_counted_apart_from_submissions() -> None:
    from_registry = counted()
    before = _unscreened_answers()

    screening = screen({"mail": EMAIL})

    assert (screening.verdict, screening.redaction) == (Verdict.UNSCREENED, None)
    assert added(from_registry) == {}
    assert _unscreened_answers() == before + 1
    assert answer_gate().policy_version == ""


def _unscreened_answers() -> float:
    value = REGISTRY.get_sample_value(UNSCREENED_ANSWERS)
    assert value is not None
    return value
