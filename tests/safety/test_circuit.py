"""The circuit, on a clock of the test's own and with real threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from safety.circuit import Circuit
from safety.exceptions import (
    AnswerTooLong,
    CircuitOpen,
    DeadlineExceeded,
    NoVerdict,
    RateLimited,
    RequestRejected,
    ServerFault,
    Unreachable,
    UnusableAnswer,
)

FAILURES = [Unreachable, DeadlineExceeded, ServerFault, UnusableAnswer]
NO_FAILURES = [RateLimited, RequestRejected, AnswerTooLong]
WAIT_SECONDS = 10


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class HeldCall:
    """A call in a thread of its own that ends as and when the test says."""

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
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(failures=5, reset_seconds=60, clock=clock)


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


def half_open_after(clock: Clock, circuit: Circuit) -> None:
    """Open the circuit and let its time pass: the next call is the probe."""
    fail(circuit, times=5)
    clock.seconds += 60


def refusal(circuit: Circuit) -> NoVerdict:
    with pytest.raises(CircuitOpen) as caught:
        circuit.call(never)
    return caught.value


def test_a_call_gets_its_arguments_and_gives_its_result(circuit: Circuit) -> None:
    def call(text: str, *, request_id: str) -> tuple[str, str]:
        return text, request_id

    assert circuit.call(call, "text", request_id="id") == ("text", "id")


@pytest.mark.parametrize("error", FAILURES)
def test_it_opens_after_five_failures_in_a_row(
    circuit: Circuit, error: Callable[[str], NoVerdict]
) -> None:
    fail(circuit, times=4, error=error("reason"))
    assert circuit.current_state == "closed"

    fail(circuit, error=error("reason"))
    assert circuit.current_state == "open"


def test_a_success_between_failures_keeps_it_closed(circuit: Circuit) -> None:
    fail(circuit, times=4)
    circuit.call(succeed)
    fail(circuit, times=4)

    assert circuit.current_state == "closed"


@pytest.mark.parametrize("error", NO_FAILURES)
def test_what_a_working_layer_refuses_does_not_count(
    circuit: Circuit, error: Callable[[str], NoVerdict]
) -> None:
    fail(circuit, times=10, error=error("reason"))

    assert (circuit.current_state, circuit.fail_counter) == ("closed", 0)


def test_it_refuses_while_open_and_says_for_how_long(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, times=5)

    waits = []
    for clock.seconds in (1000.0, 1000.5, 1010.0, 1058.9, 1059.99):
        waits.append(refusal(circuit).retry_after_seconds)
    assert waits == [60, 60, 50, 2, 1]


def test_a_refusal_is_no_failure(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, times=5)
    for _ in range(20):
        refusal(circuit)
    clock.seconds += 60

    assert circuit.call(succeed) == "answer"


def test_a_probe_that_succeeds_closes_it_afresh(circuit: Circuit, clock: Clock) -> None:
    half_open_after(clock, circuit)

    circuit.call(succeed)

    assert (circuit.current_state, circuit.fail_counter) == ("closed", 0)
    fail(circuit, times=4)
    assert circuit.current_state == "closed"


def test_a_probe_that_fails_opens_it_for_the_full_time(circuit: Circuit, clock: Clock) -> None:
    half_open_after(clock, circuit)
    clock.seconds += 1000

    fail(circuit)

    assert refusal(circuit).retry_after_seconds == 60
    clock.seconds += 59
    assert refusal(circuit).retry_after_seconds == 1
    clock.seconds += 1
    assert circuit.call(succeed) == "answer"


@pytest.mark.parametrize("error", NO_FAILURES)
def test_a_probe_that_is_refused_by_a_working_layer_closes_it(
    circuit: Circuit, clock: Clock, error: Callable[[str], NoVerdict]
) -> None:
    half_open_after(clock, circuit)

    fail(circuit, error=error("reason"))

    assert circuit.current_state == "closed"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), ZeroDivisionError()])
def test_a_probe_that_is_broken_off_does_not_wedge_it(
    circuit: Circuit, clock: Clock, error: BaseException
) -> None:
    half_open_after(clock, circuit)

    fail(circuit, error=error)

    assert refusal(circuit).retry_after_seconds == 60
    clock.seconds += 60
    assert circuit.call(succeed) == "answer"


def test_of_twenty_threads_exactly_one_probes(
    circuit: Circuit, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    half_open_after(clock, circuit)
    at_once, others_refused = threading.Barrier(20), threading.Event()
    calls, refusals = [], []

    def probe() -> None:
        calls.append(threading.get_ident())
        assert others_refused.wait(WAIT_SECONDS)

    def attempt(_: int) -> None:
        at_once.wait(WAIT_SECONDS)
        try:
            circuit.call(probe)
        except CircuitOpen as error:
            refusals.append(error.retry_after_seconds)
            if len(refusals) == 19:
                others_refused.set()

    list(threads.map(attempt, range(20)))

    assert (len(calls), refusals) == (1, [1] * 19)
    assert circuit.current_state == "closed"


def test_others_are_refused_until_the_probe_has_ended(
    circuit: Circuit, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    half_open_after(clock, circuit)
    probe = HeldCall(threads, circuit)
    clock.seconds += 1000
    assert refusal(circuit).retry_after_seconds == 1

    probe.end()

    assert circuit.call(succeed) == "answer"


def test_a_late_success_does_not_close_it(circuit: Circuit, threads: ThreadPoolExecutor) -> None:
    late = HeldCall(threads, circuit)
    fail(circuit, times=5)

    late.end()

    assert circuit.current_state == "open"


def test_a_late_failure_does_not_lengthen_its_time(
    circuit: Circuit, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    late = HeldCall(threads, circuit)
    fail(circuit, times=5)
    clock.seconds += 30

    late.end(Unreachable("connection failed"))

    assert refusal(circuit).retry_after_seconds == 30


def test_a_late_failure_does_not_count_for_the_next_closed_state(
    circuit: Circuit, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    late = [HeldCall(threads, circuit) for _ in range(5)]
    half_open_after(clock, circuit)
    circuit.call(succeed)

    for call in late:
        call.end(Unreachable("connection failed"))

    assert (circuit.current_state, circuit.fail_counter) == ("closed", 0)


@pytest.mark.parametrize(
    "error", [None, Unreachable("connection failed")], ids=["success", "failure"]
)
def test_a_late_result_does_not_decide_for_the_probe(
    circuit: Circuit, clock: Clock, threads: ThreadPoolExecutor, error: NoVerdict | None
) -> None:
    late = HeldCall(threads, circuit)
    half_open_after(clock, circuit)
    probe = HeldCall(threads, circuit)

    late.end(error)

    assert circuit.current_state == "half-open"
    probe.end()
    assert circuit.current_state == "closed"


def test_calls_run_side_by_side(circuit: Circuit, threads: ThreadPoolExecutor) -> None:
    # Broken unless all eight are under way at once.
    together = threading.Barrier(8)

    calls: list[Future[Any]] = [
        threads.submit(circuit.call, together.wait, WAIT_SECONDS) for _ in range(8)
    ]

    assert sorted(call.result() for call in calls) == list(range(8))


def test_failures_side_by_side_are_all_counted(
    circuit: Circuit, threads: ThreadPoolExecutor
) -> None:
    calls = [HeldCall(threads, circuit) for _ in range(5)]

    for call in calls:
        assert circuit.current_state == "closed"
        call.end(Unreachable("connection failed"))

    assert circuit.current_state == "open"
