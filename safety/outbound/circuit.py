"""The circuit around another service, one per process.

A probe of our own decides whether the service works. No client's request is ever the probe, so
that no client can open the circuit or keep it open.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import pybreaker

from safety.outbound.exceptions import CallFailed, CircuitOpen, ServiceFault

T = TypeVar("T")

CLOSED: Final = pybreaker.STATE_CLOSED
OPEN: Final = pybreaker.STATE_OPEN
STATES: Final = (CLOSED, OPEN)
PROBE_THREAD: Final = "circuit-probe"

logger = logging.getLogger(__name__)


class Change(NamedTuple):
    """A circuit went from one state into another.

    Attributes:
        failures: in a row until then.
    """

    before: str
    after: str
    failures: int


class Circuit(pybreaker.CircuitBreaker):
    """A breaker whose calls run side by side, and which a probe opens and closes.

    After so many failures in a row a thread runs the probe. If the probe fails too, the circuit
    opens, and the thread goes on probing until a probe succeeds, which closes the circuit. While
    the circuit is open nobody else is asked, and so it is never half-open.

    pybreaker's own `call` holds its lock during the call, which would queue every caller behind
    the slowest. Here the lock guards only the changes of state, and the result of a call that
    began before a change is ignored.

    Args:
        failures: in a row, until the probe is asked.
        reset_seconds: from the start of one probe to the start of the next.
        probe: returns whether the service works, within a time of its own.
        on_change: called after each change of state.
    """

    def __init__(
        self,
        *,
        failures: int,
        reset_seconds: float,
        probe: Callable[[], bool],
        on_change: Callable[[Change], None] = lambda change: None,
    ) -> None:
        super().__init__(
            fail_max=failures,
            reset_timeout=reset_seconds,
            exclude=[_is_no_failure],
            throw_new_error_on_trip=False,
            listeners=[_Listener(on_change)],
        )
        self._probe = probe
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return bool(self.current_state == OPEN)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `func` and learn from how it ends.

        Raises:
            CircuitOpen: `func` was not called.
        """
        state = self._admit()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._learn(state, error)
            raise
        self._learn(state, None)
        return result

    def open(self) -> bool:
        """Let the probe decide; pybreaker calls this when there were too many failures."""
        with self._lock:
            if not self._is_probing:
                # A daemon, since nobody should wait for a probe at the end of the process.
                threading.Thread(
                    target=self._probe_until_it_works, name=PROBE_THREAD, daemon=True
                ).start()
                self._is_probing = True
        return False

    def _admit(self) -> pybreaker.CircuitBreakerState:
        with self._lock:
            if self.is_open:
                retry_after_seconds = math.ceil(self.reset_timeout)
                raise CircuitOpen("circuit open", retry_after_seconds=retry_after_seconds)
            return self.state

    def _learn(self, state: pybreaker.CircuitBreakerState, error: BaseException | None) -> None:
        with self._lock:
            # Every change makes a new state object: another one means that this
            # call began before the change.
            if self.state is not state:
                return
            if error is None:
                state._handle_success()
                return
            # The failure that trips the circuit is raised a second time.
            with contextlib.suppress(type(error)):
                state._handle_error(error, reraise=False)

    def _probe_until_it_works(self) -> None:
        while True:
            next_at = time.monotonic() + self.reset_timeout
            works = self._ask_probe()
            with self._lock:
                if works:
                    self._is_probing = False
                    self._recover()
                    return
                if not self.is_open:
                    super().open()
            time.sleep(max(0, next_at - time.monotonic()))

    def _ask_probe(self) -> bool:
        try:
            return self._probe()
        except Exception:
            # Without this the thread would end, and the circuit would stay as it is for ever.
            logger.exception("The probe of a circuit failed unexpectedly")
            return False

    def _recover(self) -> None:
        if self.is_open:
            self.close()
        else:
            # The service works for us: only failures from now on count.
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


def _is_no_failure(error: BaseException) -> bool:
    """Return whether the error comes from a service that works."""
    return isinstance(error, CallFailed) and not isinstance(error, ServiceFault)
