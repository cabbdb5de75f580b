"""The circuit around the Reflex Layer, one per process."""

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pybreaker

from safety.exceptions import CircuitOpen, NoVerdict, ReflexFailure

T = TypeVar("T")


class Circuit(pybreaker.CircuitBreaker):
    """A breaker whose calls run side by side.

    pybreaker's own `call` holds its lock during the call, which would queue every
    submission behind the slowest; its `calling` lets every thread probe at once. Here
    the lock guards only the changes of state: while half-open exactly one call is
    under way, and a result that comes after the state has changed is ignored.
    """

    def __init__(
        self,
        *,
        failures: int,
        reset_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        listeners: tuple[pybreaker.CircuitBreakerListener, ...] = (),
    ) -> None:
        super().__init__(
            fail_max=failures,
            reset_timeout=reset_seconds,
            exclude=[_is_no_failure],
            throw_new_error_on_trip=False,
            listeners=listeners,
        )
        self._clock = clock
        self._probe_at = -math.inf

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
        """Open the circuit; the next probe is due after the reset time."""
        with self._lock:
            self._probe_at = self._clock() + self.reset_timeout
            return super().open()

    def _admit(self) -> pybreaker.CircuitBreakerState:
        with self._lock:
            if self.current_state == pybreaker.STATE_HALF_OPEN:
                raise CircuitOpen("circuit half-open, probe under way", retry_after_seconds=1)
            if self.current_state == pybreaker.STATE_OPEN:
                wait_seconds = self._probe_at - self._clock()
                if wait_seconds > 0:
                    raise CircuitOpen("circuit open", retry_after_seconds=math.ceil(wait_seconds))
                self.half_open()
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


def _is_no_failure(error: BaseException) -> bool:
    """A rate limit or a 4xx comes from a Reflex Layer that works."""
    return isinstance(error, NoVerdict) and not isinstance(error, ReflexFailure)
