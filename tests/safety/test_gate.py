"""The gate, built from the settings, as the rest of the service uses it."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY

from safety.document import Document, Place
from safety.exceptions import NotAsked, NoVerdict
from safety.findings import Finding, Kind, Severity
from safety.gate import gate
from safety.policy import PiiAction, Verdict
from safety.screening import Screening
from tests.reflex_layer import (
    Behaviour,
    ScriptedReflexLayer,
    answer,
    hangs,
    injection,
    pii,
    resets,
    says,
)
from tests.waiting import WAIT_SECONDS, wait_for_probes, wait_until

DOCUMENT = Document({"goal": "Analyze reviews", "context": {"pages": 3}})
RESULTS = ["safe", "flagged", "blocked", "no_verdict", "circuit_open"]
STATES = ["closed", "open"]


@pytest.fixture
def switched_off(settings: Any) -> Iterator[None]:
    settings.ENABLE_REFLEX_INTEGRATION = False
    gate.cache_clear()
    yield
    gate.cache_clear()


def screen() -> Screening:
    return gate().screen(DOCUMENT, request_id="request-1")


def refusal() -> NoVerdict:
    with pytest.raises(NoVerdict) as caught:
        screen()
    return caught.value


def counted() -> dict[str, float]:
    """Return the current values of the gate's counters."""
    calls = "octollm_orchestrator_reflex_calls_total"
    counts = {result: REGISTRY.get_sample_value(calls, {"result": result}) for result in RESULTS}
    others = {
        "timed": "octollm_orchestrator_screening_duration_seconds_count",
        "unscreened": "octollm_orchestrator_unscreened_submissions_total",
    }
    counts |= {name: REGISTRY.get_sample_value(metric) for name, metric in others.items()}
    return {name: value for name, value in counts.items() if value is not None}


def added(before: dict[str, float]) -> dict[str, float]:
    """Return the counters that have grown since `before`, and by how much."""
    return {name: value - before[name] for name, value in counted().items() if value > before[name]}


def circuit_state() -> dict[str, float | None]:
    name = "octollm_orchestrator_circuit_state"
    return {state: REGISTRY.get_sample_value(name, {"state": state}) for state in STATES}


# Verdicts


def test_all_texts_are_screened_in_one_call(reflex_layer: ScriptedReflexLayer) -> None:
    screen()

    assert reflex_layer.texts == ["Analyze reviews\npages: 3\n"]
    assert reflex_layer.requests[0][2]["x-request-id"] == "request-1"


# The peer quotes a text that is not at these places, so the findings cannot be replaced.
PLACES = (Place(0, 0, 3),)
LINK = Finding(Kind.INJECTION, "DataExfiltration", Severity.MEDIUM, 0.8, PLACES)
ATTACK = Finding(Kind.INJECTION, "DataExfiltration", Severity.HIGH, 0.8, PLACES)
EMAIL = Finding(Kind.PII, "Email", None, 0.9, PLACES)
BOTH = injection() | {"pii_matches": pii()["pii_matches"]}


@pytest.mark.parametrize(
    ("sent", "verdict", "blocked_for", "findings"),
    [
        pytest.param(answer(), "safe", [], [], id="safe"),
        pytest.param(injection("Medium"), "flagged", [], [LINK], id="flagged"),
        pytest.param(injection("High"), "blocked", [Kind.INJECTION], [ATTACK], id="injection"),
        pytest.param(pii(), "blocked", [Kind.PII], [EMAIL], id="pii"),
        pytest.param(BOTH, "blocked", [Kind.PII, Kind.INJECTION], [EMAIL, ATTACK], id="both"),
        pytest.param(answer(status="blocked"), "blocked", [], [], id="no-finding-named"),
    ],
)
def test_a_screening_has_verdict_and_findings(
    reflex_layer: ScriptedReflexLayer,
    sent: dict[str, Any],
    verdict: str,
    blocked_for: list[Kind],
    findings: list[Finding],
) -> None:
    reflex_layer.behaviour = says(sent | {"request_id": "reflex-7"})
    before = counted()

    screening = screen()

    assert screening == Screening(
        document=DOCUMENT,
        verdict=Verdict(verdict),
        blocked_for=frozenset(blocked_for),
        findings=tuple(findings),
        reflex_request_id="reflex-7",
        duration_seconds=screening.duration_seconds,
    )
    assert added(before) == {verdict: 1, "timed": 1}


def test_a_screening_records_its_duration(reflex_layer: ScriptedReflexLayer) -> None:
    clean = says(answer())

    def late(connection: Any) -> bool:
        threading.Event().wait(0.2)
        return clean(connection)

    reflex_layer.behaviour = late
    total = "octollm_orchestrator_screening_duration_seconds_sum"
    before = REGISTRY.get_sample_value(total) or 0

    seconds = screen().duration_seconds

    assert 0.2 <= seconds < 0.7
    assert (REGISTRY.get_sample_value(total) or 0) - before == pytest.approx(seconds)


def test_the_policy_comes_from_the_settings(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.PII_ACTION = PiiAction.ALLOW
    settings.INJECTION_BLOCKS_FROM = Severity.CRITICAL
    verdicts = []
    for sent in (pii(), injection("High"), injection("Critical")):
        reflex_layer.behaviour = says(sent)
        verdicts.append(screen().verdict)

    assert verdicts == [Verdict.SAFE, Verdict.FLAGGED, Verdict.BLOCKED]


def test_the_version_of_the_policy_follows_the_settings(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    before = gate().policy_version
    gate.cache_clear()
    settings.IGNORED_TYPES = ["IPv4"]

    assert before != gate().policy_version != ""


# No verdict


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        pytest.param(says({}, status="500 Error"), "server error", id="server-fault"),
        pytest.param(says({}, status="400 Bad"), "request rejected", id="rejected"),
        pytest.param(says(answer(status="ratelimited")), "rate limited", id="rate-limit"),
        pytest.param(says(b"<html>"), "answer is not JSON", id="nonsense"),
        pytest.param(hangs(), "deadline exceeded", id="hangs"),
    ],
)
def test_a_missing_verdict_is_raised_counted_and_timed(
    reflex_layer: ScriptedReflexLayer, settings: Any, behaviour: Behaviour, reason: str
) -> None:
    settings.REFLEX_DEADLINE_SECONDS = 0.2
    reflex_layer.behaviour = behaviour
    before = counted()

    assert refusal().reason == reason
    assert added(before) == {"no_verdict": 1, "timed": 1}


# The circuit


def open_circuit(reflex_layer: ScriptedReflexLayer, failures: int = 5) -> None:
    reflex_layer.behaviour = resets
    for _ in range(failures):
        assert refusal().reason == "connection failed"
    wait_until(lambda: circuit_state()["open"])


def probes() -> dict[str, float | None]:
    name = "octollm_orchestrator_reflex_probes_total"
    return {
        result: REGISTRY.get_sample_value(name, {"result": result})
        for result in ("passed", "failed")
    }


@pytest.mark.alone
def test_an_open_circuit_refuses_at_once_without_a_call(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.CIRCUIT_RESET_SECONDS = 2
    open_circuit(reflex_layer)
    before, connections = counted(), reflex_layer.connections

    started = time.perf_counter()
    refusals = [refusal() for _ in range(100)]
    seconds = time.perf_counter() - started

    assert {type(error) for error in refusals} == {NotAsked}
    assert refusals[0].retry_after_seconds == 2
    assert reflex_layer.connections == connections
    # A refusal without a call has no duration.
    assert added(before) == {"circuit_open": 100}
    assert seconds / 100 < 0.005


def test_the_circuit_comes_from_the_settings(
    reflex_layer: ScriptedReflexLayer, settings: Any
) -> None:
    settings.CIRCUIT_FAILURES = 2
    settings.CIRCUIT_RESET_SECONDS = 1.5

    open_circuit(reflex_layer, failures=2)

    assert refusal().retry_after_seconds == 2


def test_the_state_of_the_circuit_is_a_metric(reflex_layer: ScriptedReflexLayer) -> None:
    screen()
    assert circuit_state() == {"closed": 1, "open": 0}

    open_circuit(reflex_layer)
    assert circuit_state() == {"closed": 0, "open": 1}

    reflex_layer.behaviour = says(answer())
    wait_until(lambda: circuit_state()["closed"])
    assert circuit_state() == {"closed": 1, "open": 0}


def test_a_change_of_the_circuit_is_logged_once(
    reflex_layer: ScriptedReflexLayer, caplog: pytest.LogCaptureFixture
) -> None:
    before = probes()
    open_circuit(reflex_layer)
    wait_until(lambda: (probes()["failed"] or 0) > (before["failed"] or 0) + 2)
    reflex_layer.behaviour = says(answer())
    wait_until(lambda: circuit_state()["closed"])
    screen()

    changes: list[Any] = [
        record for record in caplog.records if record.name == "safety.reflex_client.guarded"
    ]
    assert [
        (record.levelno, record.getMessage(), record.circuit_before, record.circuit)
        for record in changes
    ] == [
        (logging.WARNING, "Circuit changed its state", "closed", "open"),
        (logging.WARNING, "Circuit changed its state", "open", "closed"),
    ]
    assert changes[0].failures == 5


def test_probes_are_counted_apart_from_calls(reflex_layer: ScriptedReflexLayer) -> None:
    before, calls = probes(), counted()
    open_circuit(reflex_layer)
    reflex_layer.behaviour = says(answer())
    wait_for_probes()

    after = probes()
    assert (after["failed"] or 0) > (before["failed"] or 0)
    assert (after["passed"] or 0) == (before["passed"] or 0) + 1
    assert added(calls) == {"no_verdict": 5, "timed": 5}


def test_texts_that_fail_on_a_working_reflex_layer_do_not_open_the_circuit(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    """Sixteen texts of 100 kB once did, because a slow Reflex Layer missed its deadline."""

    def behave(connection: Any) -> bool:
        is_clients = reflex_layer.requests[-1][3].find(b"Analyze reviews") >= 0
        return (resets if is_clients else says(answer()))(connection)

    reflex_layer.behaviour = behave

    assert [refusal().reason for _ in range(50)] == ["connection failed"] * 50
    assert circuit_state() == {"closed": 1, "open": 0}


def test_a_client_request_is_never_the_probe(reflex_layer: ScriptedReflexLayer) -> None:
    open_circuit(reflex_layer)
    reflex_layer.requests.clear()
    reflex_layer.behaviour = says(answer())
    wait_until(lambda: circuit_state()["closed"])

    assert [path for _, path, _, _ in reflex_layer.requests] == ["/ready", "/process"]
    assert "Analyze reviews" not in reflex_layer.texts[-1]


def test_a_service_that_refuses_submissions_is_not_ready(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    def broken(connection: Any) -> bool:
        is_readiness = reflex_layer.requests[-1][1] == "/ready"
        return (says(answer()) if is_readiness else resets)(connection)

    open_circuit(reflex_layer)
    # The peer says that it is ready, but screens nothing.
    reflex_layer.behaviour = broken

    assert gate().is_ready(deadline_seconds=1) is False


def test_eight_screenings_run_concurrently(
    reflex_layer: ScriptedReflexLayer,
) -> None:
    together, clean = threading.Barrier(8), says(answer())

    def when_all_have_come(connection: Any) -> bool:
        together.wait(WAIT_SECONDS)
        return clean(connection)

    reflex_layer.behaviour = when_all_have_come
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(screen) for _ in range(8)]

    assert [call.result().verdict for call in calls] == [Verdict.SAFE] * 8


# Readiness, and the gate that is switched off


@pytest.mark.parametrize(
    ("behaviour", "ready"),
    [
        pytest.param(says({"status": "ready"}), True, id="ready"),
        pytest.param(says({}, status="503 Service Unavailable"), False, id="not-ready"),
        pytest.param(hangs(), False, id="hangs"),
        pytest.param(says(b"x" * 2_000_000), False, id="too-long"),
    ],
)
def test_the_gate_is_ready_if_the_reflex_layer_is(
    reflex_layer: ScriptedReflexLayer, behaviour: Behaviour, ready: bool
) -> None:
    reflex_layer.behaviour = behaviour

    assert gate().is_ready(deadline_seconds=0.2) is ready


def test_a_readiness_check_does_not_screen(reflex_layer: ScriptedReflexLayer) -> None:
    reflex_layer.behaviour = says({}, status="503 Service Unavailable")
    before = counted()

    for _ in range(10):
        gate().is_ready(deadline_seconds=1)

    assert added(before) == {}
    reflex_layer.behaviour = says(answer())
    assert screen().verdict is Verdict.SAFE


@pytest.mark.usefixtures("switched_off")
def test_when_switched_off_everything_passes_as_unscreened() -> None:
    before = counted()

    assert screen() == Screening(DOCUMENT, Verdict.UNSCREENED)
    assert added(before) == {"unscreened": 1}


@pytest.mark.usefixtures("switched_off")
def test_when_switched_off_there_is_no_policy() -> None:
    assert gate().policy_version == ""


@pytest.mark.usefixtures("switched_off")
def test_when_switched_off_there_is_no_readiness_check() -> None:
    assert gate().is_ready(deadline_seconds=1) is None


def test_a_process_has_one_gate(reflex_layer: ScriptedReflexLayer) -> None:
    assert gate() is gate()


def test_all_known_results_exist_from_the_start() -> None:
    assert set(counted()) == {*RESULTS, "timed", "unscreened"}
