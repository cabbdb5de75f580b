"""The circuit, with real threads and a probe whose results the test sets."""

import itertools
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from safety.outbound.circuit import Change, Circuit, Verdict
from safety.outbound.exceptions import (
    AnswerTooLong,
    CallFailed,
    Cancelled,
    CircuitOpen,
    DeadlineExceeded,
    RateLimited,
    Rejected,
    ServerFault,
    Unreachable,
    UnusableAnswer,
)
from tests.waiting import WAIT_SECONDS, wait_for_probes, wait_until

FAILURES = [Unreachable, DeadlineExceeded, ServerFault, UnusableAnswer]
NO_FAILURES = [RateLimited, Rejected, AnswerTooLong]


class Probe:
    """A probe that waits for its result from the test, and records the changes of state.

    Attributes:
        asked: the times when the circuit ran the probe.
        results: the results of the probes, in order.
        changes: the states that the circuit entered, in order.
    """

    def __init__(self) -> None:
        self.asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[bool | BaseException] = queue.SimpleQueue()
        self.changes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __call__(self) -> bool:
        self.asked.put(time.monotonic())
        result = self.results.get(timeout=WAIT_SECONDS)
        if isinstance(result, BaseException):
            raise result
        return result

    def ends(self, result: bool | BaseException) -> None:
        """Wait until the circuit runs the probe, and set its result."""
        self.asked.get(timeout=WAIT_SECONDS)
        self.results.put(result)

    def told(self, change: Change) -> None:
        self.changes.put(change.after)


class HeldCall:
    """A call in its own thread that lasts until the test ends it."""

    def __init__(self, threads: ThreadPoolExecutor, circuit: Circuit) -> None:
        self._begun, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._outcome: Future[str] = threads.submit(circuit.call, self._run)
        assert self._begun.wait(WAIT_SECONDS)

    def _run(self) -> str:
        self._begun.set()
        assert self._ended.wait(WAIT_SECONDS)
        if self._error:
            raise self._error
        return "answer"

    def end(self, error: BaseException | None = None) -> None:
        self._error = error
        self._ended.set()
        assert self._outcome.exception(WAIT_SECONDS) is error


@pytest.fixture
def probe() -> Iterator[Probe]:
    probe = Probe()
    yield probe
    # In whatever state the test leaves its circuit, the probing thread ends.
    for _ in range(2):
        probe.results.put(True)
    wait_for_probes()


@pytest.fixture
def circuit(probe: Probe) -> Circuit:
    return Circuit(failures=5, reset_seconds=0.05, probe=probe, on_change=probe.told)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def succeed() -> str:
    return "answer"


def never() -> None:
    raise AssertionError("called while open")


def fail(circuit: Circuit, *, times: int = 1, error: BaseException | None = None) -> None:
    error = error or Unreachable("connection failed")

    def call() -> None:
        raise error

    for _ in range(times):
        with pytest.raises(type(error)) as caught:
            circuit.call(call)
        assert caught.value is error


def opened(circuit: Circuit, probe: Probe) -> None:
    """Open the circuit: five failures, and a probe that fails."""
    fail(circuit, times=5)
    probe.ends(False)
    assert probe.changes.get(timeout=WAIT_SECONDS) == "open"


def closed(probe: Probe) -> None:
    """Close the circuit by a probe that succeeds."""
    probe.ends(True)
    assert probe.changes.get(timeout=WAIT_SECONDS) == "closed"


def refusal(circuit: Circuit) -> CallFailed:
    with pytest.raises(CircuitOpen) as caught:
        circuit.call(never)
    assert not caught.value.was_sent
    return caught.value


def test_a_call_passes_arguments_and_result_through(circuit: Circuit) -> None:
    def call(text: str, *, request_id: str) -> tuple[str, str]:
        return text, request_id

    assert circuit.call(call, "text", request_id="id") == ("text", "id")


@pytest.mark.parametrize("error", FAILURES)
def test_it_opens_after_five_failures_in_a_row_and_a_failed_probe(
    circuit: Circuit, probe: Probe, error: Callable[[str], CallFailed]
) -> None:
    fail(circuit, times=4, error=error("reason"))
    assert probe.asked.empty()

    fail(circuit, error=error("reason"))
    assert circuit.call(succeed) == "answer"
    probe.ends(False)

    assert probe.changes.get(timeout=WAIT_SECONDS) == "open"
    assert type(refusal(circuit)) is CircuitOpen


def test_it_stays_closed_if_the_probe_succeeds(circuit: Circuit, probe: Probe) -> None:
    fail(circuit, times=20)
    probe.ends(True)
    # The probe runs again after five more failures, not after the first of them.
    wait_until(lambda: circuit.fail_counter == 0)
    fail(circuit, times=4)
    assert probe.asked.empty()
    fail(circuit)
    probe.ends(True)

    assert probe.changes.empty()
    assert circuit.call(succeed) == "answer"


def test_a_success_between_failures_keeps_it_closed(circuit: Circuit, probe: Probe) -> None:
    fail(circuit, times=4)
    circuit.call(succeed)
    fail(circuit, times=4)

    assert probe.asked.empty()


@pytest.mark.parametrize("error", NO_FAILURES)
def test_errors_of_a_working_service_do_not_count(
    circuit: Circuit, error: Callable[[str], CallFailed]
) -> None:
    fail(circuit, times=10, error=error("reason"))

    assert circuit.fail_counter == 0


def test_a_cancelled_call_counts_neither_as_failure_nor_as_success(
    circuit: Circuit, probe: Probe
) -> None:
    fail(circuit, times=4)
    fail(circuit, times=10, error=Cancelled("call cancelled"))
    assert (circuit.fail_counter, probe.asked.empty()) == (4, True)

    fail(circuit)
    probe.ends(True)


@pytest.mark.parametrize(("verdict", "count"), [(Verdict.FAILED, 3), (Verdict.WORKS, 0)])
def test_the_owner_of_a_circuit_may_judge_errors(
    probe: Probe, verdict: Verdict, count: int
) -> None:
    circuit = Circuit(failures=5, reset_seconds=1, probe=probe, judge=lambda error: verdict)

    fail(circuit, times=3, error=ZeroDivisionError())

    assert circuit.fail_counter == count


def test_a_retired_circuit_stops_probing_and_stays_as_it_is(circuit: Circuit, probe: Probe) -> None:
    opened(circuit, probe)

    circuit.retire()
    # The probe may have begun just before.
    probe.results.put(True)
    wait_for_probes()

    assert type(refusal(circuit)) is CircuitOpen
    assert probe.changes.empty()


def test_a_retired_circuit_does_not_open(circuit: Circuit, probe: Probe) -> None:
    fail(circuit, times=5)
    probe.asked.get(timeout=WAIT_SECONDS)
    circuit.retire()
    probe.results.put(False)
    wait_for_probes()

    fail(circuit, times=10)

    assert probe.changes.empty()
    assert circuit.call(succeed) == "answer"


def test_a_retired_circuit_does_not_begin_to_probe(circuit: Circuit, probe: Probe) -> None:
    circuit.retire()

    fail(circuit, times=10)
    threading.Event().wait(0.05)

    assert probe.asked.empty()


def test_an_open_circuit_refuses_and_says_when_to_retry(probe: Probe) -> None:
    circuit = Circuit(failures=5, reset_seconds=1.5, probe=probe, on_change=probe.told)
    opened(circuit, probe)

    assert [refusal(circuit).retry_after_seconds for _ in range(20)] == [2] * 20


def test_it_probes_until_a_probe_succeeds(circuit: Circuit, probe: Probe) -> None:
    opened(circuit, probe)
    for _ in range(3):
        probe.ends(False)
        assert type(refusal(circuit)) is CircuitOpen

    closed(probe)

    assert circuit.call(succeed) == "answer"
    assert circuit.fail_counter == 0


def test_a_closed_circuit_can_open_again(circuit: Circuit, probe: Probe) -> None:
    opened(circuit, probe)
    closed(probe)

    fail(circuit, times=4)
    assert probe.asked.empty()
    fail(circuit)
    probe.ends(False)

    assert probe.changes.get(timeout=WAIT_SECONDS) == "open"


def test_probes_start_at_regular_intervals(probe: Probe) -> None:
    seconds = 0.2
    circuit = Circuit(failures=1, reset_seconds=seconds, probe=probe)
    fail(circuit)
    began = []
    for _ in range(3):
        began.append(probe.asked.get(timeout=WAIT_SECONDS))
        # The probe takes half of the time between two probes, and fails.
        threading.Event().wait(seconds / 2)
        probe.results.put(False)

    waited = [after - before for before, after in itertools.pairwise(began)]
    assert min(waited) >= seconds * 0.99
    assert statistics.median(waited) < seconds * 1.4


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), CallFailed("odd")])
def test_a_probe_that_raises_counts_as_failed(
    circuit: Circuit, probe: Probe, error: BaseException
) -> None:
    fail(circuit, times=5)
    probe.ends(error)
    assert probe.changes.get(timeout=WAIT_SECONDS) == "open"

    probe.ends(error)
    closed(probe)

    assert circuit.call(succeed) == "answer"


def test_many_failures_start_a_single_probe_thread(
    circuit: Circuit, probe: Probe, threads: ThreadPoolExecutor
) -> None:
    list(threads.map(lambda _: fail(circuit), range(100)))
    probe.ends(False)
    assert probe.changes.get(timeout=WAIT_SECONDS) == "open"
    closed(probe)

    assert probe.asked.empty()


def test_a_late_success_does_not_close_the_circuit(
    circuit: Circuit, probe: Probe, threads: ThreadPoolExecutor
) -> None:
    late = HeldCall(threads, circuit)
    opened(circuit, probe)

    late.end()

    assert type(refusal(circuit)) is CircuitOpen


def test_a_late_failure_does_not_count_after_the_circuit_closed(
    circuit: Circuit, probe: Probe, threads: ThreadPoolExecutor
) -> None:
    late = [HeldCall(threads, circuit) for _ in range(5)]
    opened(circuit, probe)
    closed(probe)

    for call in late:
        call.end(Unreachable("connection failed"))

    assert circuit.fail_counter == 0
    assert probe.asked.empty()


def test_calls_run_concurrently(circuit: Circuit, threads: ThreadPoolExecutor) -> None:
    # The barrier opens only if all eight calls run at the same time.
    together = threading.Barrier(8)

    calls: list[Future[Any]] = [
        threads.submit(circuit.call, together.wait, WAIT_SECONDS) for _ in range(8)
    ]

    assert sorted(call.result() for call in calls) == list(range(8))


def test_concurrent_failures_are_all_counted(
    circuit: Circuit, probe: Probe, threads: ThreadPoolExecutor
) -> None:
    calls = [HeldCall(threads, circuit) for _ in range(5)]

    for call in calls:
        assert probe.asked.empty()
        call.end(Unreachable("connection failed"))

    probe.ends(True)
