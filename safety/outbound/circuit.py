"""A circuit breaker for calls to another service, one per process.

Our own probe decides whether the service works. A client's request is never used as a probe, so
no client can open the circuit or keep it open.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple, TypeVar

import pybreaker

from safety.outbound.exceptions import CallFailed, Cancelled, CircuitOpen, ServiceFault

T = TypeVar("T")

CLOSED: Final = pybreaker.STATE_CLOSED
OPEN: Final = pybreaker.STATE_OPEN
STATES: Final = (CLOSED, OPEN)
PROBE_THREAD: Final = "circuit-probe"

logger = logging.getLogger(__name__)


class Change(NamedTuple):
    """A change of a circuit's state.

    Attributes:
        failures: the number of failures in a row before the change.
    """

    before: str
    after: str
    failures: int


class Verdict(Enum):
    """What an error of a call says about the service."""

    FAILED = auto()
    WORKS = auto()
    NOTHING = auto()


def verdict_on(error: BaseException) -> Verdict:
    if isinstance(error, Cancelled):
        return Verdict.NOTHING
    if isinstance(error, CallFailed) and not isinstance(error, ServiceFault):
        return Verdict.WORKS
    return Verdict.FAILED


class Circuit(pybreaker.CircuitBreaker):
    """A circuit breaker with concurrent calls, opened and closed by a probe.

    After a number of failures in a row, a thread runs the probe. If the probe fails too, the
    circuit opens. The thread repeats the probe until it succeeds, and then closes the circuit.
    While the circuit is open, only the probe calls the service, so the circuit is never
    half-open.

    pybreaker's own `call` holds its lock during the call, so all callers would wait for the
    slowest one. Here the lock protects only changes of state. The result of a call that began
    before a change is ignored.

    Args:
        failures: the number of failures in a row that starts the probe.
        reset_seconds: from the start of one probe to the start of the next.
        probe: returns whether the service works; it needs a timeout of its own.
        on_change: called after each change of state.
        judge: returns what an error of a call says about the service.
    """

    def __init__(
        self,
        *,
        failures: int,
        reset_seconds: float,
        probe: Callable[[], bool],
        on_change: Callable[[Change], None] = lambda change: None,
        judge: Callable[[BaseException], Verdict] = verdict_on,
    ) -> None:
        super().__init__(
            fail_max=failures,
            reset_timeout=reset_seconds,
            exclude=[lambda error: judge(error) is Verdict.WORKS],
            throw_new_error_on_trip=False,
            listeners=[_Listener(on_change)],
        )
        self._probe = probe
        self._judge = judge
        self._is_probing = False
        self._is_retired = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return bool(self.current_state == OPEN)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `func` and record whether it succeeds.

        Raises:
            CircuitOpen: `func` was not called.
        """
        state = self._admit()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            if self._judge(error) is not Verdict.NOTHING:
                self._record(state, error)
            raise
        self._record(state, None)
        return result

    def retire(self) -> None:
        """Stop probing and stay in this state, because nothing will be called any more."""
        with self._lock:
            self._is_retired.set()

    def open(self) -> bool:
        """Start the probe; pybreaker calls this after too many failures."""
        with self._lock:
            if not self._is_probing and not self._is_retired.is_set():
                # A daemon thread, so that the process can exit without waiting for a probe.
                threading.Thread(
                    target=self._probe_until_it_works, name=PROBE_THREAD, daemon=True
                ).start()
                self._is_probing = True
        return False

    def _admit(self) -> pybreaker.CircuitBreakerState:
        with self._lock:
            if self.is_open:
                retry_after_seconds = math.ceil(self.reset_timeout)
                raise CircuitOpen(
                    "circuit open", retry_after_seconds=retry_after_seconds, was_sent=False
                )
            return self.state

    def _record(self, state: pybreaker.CircuitBreakerState, error: BaseException | None) -> None:
        with self._lock:
            # Each change creates a new state object. If it is not the one that the call began
            # with, the state has changed during the call.
            if self.state is not state:
                return
            if error is None:
                state._handle_success()
                return
            # If the failure trips the circuit, pybreaker raises it again.
            with contextlib.suppress(type(error)):
                state._handle_error(error, reraise=False)

    def _probe_until_it_works(self) -> None:
        while True:
            next_at = time.monotonic() + self.reset_timeout
            works = self._ask_probe()
            with self._lock:
                if self._is_retired.is_set():
                    return
                if works:
                    self._is_probing = False
                    self._recover()
                    return
                if not self.is_open:
                    super().open()
            self._is_retired.wait(max(0, next_at - time.monotonic()))

    def _ask_probe(self) -> bool:
        try:
            return self._probe()
        except Exception:
            # Otherwise the thread would end, and the circuit would never change again.
            logger.exception("The probe of a circuit failed unexpectedly")
            return False

    def _recover(self) -> None:
        if self.is_open:
            self.close()
        else:
            # The service works, so earlier failures no longer count.
            self._state_storage.reset_counter()


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, on_change: Callable[[Change], None]) -> None:
        self._on_change = on_change

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        before = old_state.name if old_state else CLOSED
        self._on_change(Change(before, new_state.name, cb.fail_counter))
