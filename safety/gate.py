"""The gate: screening plus policy, as the rest of the service sees it."""

import functools
import logging
import time
from dataclasses import replace
from typing import Final, Protocol

import pybreaker
from django.conf import settings

from safety.document import Document
from safety.exceptions import CircuitOpen, NoVerdict
from safety.metrics import (
    CIRCUIT_STATE,
    LAST_SEEN,
    PROBES,
    REFLEX_CALLS,
    SCREENING_SECONDS,
    UNSCREENED,
)
from safety.outbound.circuit import Circuit
from safety.outbound.transport import Deadline, DeadlineAdapter
from safety.policy import Policy, Verdict
from safety.reflex_client.client import ReflexClient
from safety.screening import Screening, screen

logger = logging.getLogger(__name__)

CIRCUIT_STATES: Final = (pybreaker.STATE_CLOSED, pybreaker.STATE_OPEN)


class Gate(Protocol):
    """What stands between a submission and the database."""

    @property
    def policy_version(self) -> str:
        """The version of the policy in force; empty if there is none."""

    def screen(self, document: Document, *, request_id: str) -> Screening:
        """Return the screening of `document`.

        Raises:
            NoVerdict: the submission can be neither accepted nor refused.
        """

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        """Return whether a screening would get an answer; None if none is asked for."""


class ReflexGate:
    """Asks the Reflex Layer, through the circuit, and applies the policy.

    Args:
        deadline_seconds: for a whole screening, with all its calls and their retries.
    """

    def __init__(
        self, *, client: ReflexClient, circuit: Circuit, policy: Policy, deadline_seconds: float
    ) -> None:
        self._client = client
        self._circuit = circuit
        self._policy = policy
        self._deadline_seconds = deadline_seconds
        self.policy_version = policy.version

    def screen(self, document: Document, *, request_id: str) -> Screening:
        started = time.perf_counter()
        ask = functools.partial(
            self._circuit.call,
            self._client.process,
            deadline=Deadline(self._deadline_seconds),
            request_id=request_id,
        )
        try:
            screening = screen(document, ask=ask, policy=self._policy)
        except CircuitOpen:
            REFLEX_CALLS.labels("circuit_open").inc()
            raise
        except NoVerdict as error:
            error.duration_seconds = time.perf_counter() - started
            REFLEX_CALLS.labels("no_verdict").inc()
            LAST_SEEN.labels("no_verdict").set_to_current_time()
            SCREENING_SECONDS.observe(error.duration_seconds)
            raise
        duration_seconds = time.perf_counter() - started
        SCREENING_SECONDS.observe(duration_seconds)
        return replace(screening, duration_seconds=duration_seconds)

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return not self._circuit.is_open and self._client.is_ready(
            deadline_seconds=deadline_seconds
        )


class SwitchedOffGate:
    """Lets everything pass, visibly unscreened."""

    policy_version = ""

    def screen(self, document: Document, *, request_id: str) -> Screening:
        UNSCREENED.inc()
        return Screening(document, Verdict.UNSCREENED)

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return None


class CircuitObserver(pybreaker.CircuitBreakerListener):
    """Shows the circuit's state in the metrics and its changes in the log."""

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        show_circuit_state(new_state.name)
        logger.warning(
            "Circuit changed its state",
            extra={
                "circuit": new_state.name,
                "circuit_before": old_state.name if old_state else None,
                "failures": cb.fail_counter,
            },
        )


def show_circuit_state(current: str) -> None:
    for state in CIRCUIT_STATES:
        CIRCUIT_STATE.labels(state).set(state == current)


def _probe(client: ReflexClient, *, deadline_seconds: float) -> bool:
    works = client.probe(deadline_seconds=deadline_seconds)
    PROBES.labels("passed" if works else "failed").inc()
    return works


@functools.cache
def gate() -> Gate:
    """Return the gate of this process, made from the settings at its first use."""
    if not settings.ENABLE_REFLEX_INTEGRATION:
        return SwitchedOffGate()
    show_circuit_state(pybreaker.STATE_CLOSED)
    client = ReflexClient(
        url=settings.REFLEX_URL, adapter=DeadlineAdapter(connections=settings.THREADS)
    )
    return ReflexGate(
        client=client,
        circuit=Circuit(
            failures=settings.CIRCUIT_FAILURES,
            reset_seconds=settings.CIRCUIT_RESET_SECONDS,
            probe=functools.partial(
                _probe, client, deadline_seconds=settings.REFLEX_DEADLINE_SECONDS
            ),
            listeners=(CircuitObserver(),),
        ),
        deadline_seconds=settings.REFLEX_DEADLINE_SECONDS,
        policy=Policy(
            pii=settings.PII_ACTION,
            pii_by_type=settings.PII_ACTION_BY_TYPE,
            injection_blocks_from=settings.INJECTION_BLOCKS_FROM,
            injection_flags_from=settings.INJECTION_FLAGS_FROM,
            ignored_types=frozenset(settings.IGNORED_TYPES),
        ),
    )
