"""The gate: screening plus policy, as the rest of the service sees it."""

import functools
import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol

import pybreaker
from django.conf import settings

from safety.circuit import Circuit
from safety.client import ReflexClient
from safety.document import Document
from safety.exceptions import CircuitOpen, NoVerdict
from safety.findings import CUSTOM_TYPE, Finding, Kind, locate
from safety.metrics import (
    CIRCUIT_STATE,
    FINDINGS,
    LAST_SEEN,
    REFLEX_CALLS,
    SCREENING_SECONDS,
    UNSCREENED,
)
from safety.policy import Policy, Verdict
from safety.transport import DeadlineAdapter

logger = logging.getLogger(__name__)

CIRCUIT_STATES = (pybreaker.STATE_CLOSED, pybreaker.STATE_OPEN, pybreaker.STATE_HALF_OPEN)


@dataclass(frozen=True, slots=True)
class Screening:
    """One call to the Reflex Layer for one submission, and what came of it.

    Attributes:
        blocked_for: the kinds of finding that block; empty where nothing does, or where
            the Reflex Layer blocks and names no finding.
        to_redact: the findings that have to be replaced before anything is stored.
        reflex_request_id: the id under which the Reflex Layer knows the call.
    """

    document: Document
    verdict: Verdict
    blocked_for: frozenset[Kind] = frozenset()
    findings: tuple[Finding, ...] = ()
    to_redact: tuple[Finding, ...] = ()
    reflex_request_id: str = ""
    cache_hit: bool = False
    duration_seconds: float = 0.0

    @property
    def redacted_types(self) -> list[str]:
        """The types of what is replaced, each once, in alphabetical order."""
        return sorted({finding.type for finding in self.to_redact})

    def redacted(self) -> dict[str, Any]:
        """Return the fields of the document without what has to be replaced."""
        return self.document.redacted(
            (place, _label(finding)) for finding in self.to_redact for place in finding.places
        )


def _label(finding: Finding) -> str:
    return "[PII]" if finding.type == CUSTOM_TYPE else f"[{finding.type.upper()}]"


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
    """Asks the Reflex Layer, through the circuit, and applies the policy."""

    def __init__(self, *, client: ReflexClient, circuit: Circuit, policy: Policy) -> None:
        self._client = client
        self._circuit = circuit
        self._policy = policy
        self.policy_version = policy.version

    def screen(self, document: Document, *, request_id: str) -> Screening:
        started = time.perf_counter()
        try:
            answer = self._circuit.call(self._client.process, document.text, request_id=request_id)
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
        findings = locate(answer.matches, document)
        judgement = self._policy.judge(findings, reflex_layer_blocks=answer.blocked)
        REFLEX_CALLS.labels(judgement.verdict).inc()
        LAST_SEEN.labels(judgement.verdict).set_to_current_time()
        SCREENING_SECONDS.observe(duration_seconds)
        for finding in findings:
            FINDINGS.labels(finding.kind, finding.type).inc()
        return Screening(
            document=document,
            verdict=judgement.verdict,
            blocked_for=judgement.blocked_for,
            findings=findings,
            to_redact=judgement.to_redact,
            reflex_request_id=answer.reflex_request_id,
            cache_hit=answer.cache_hit,
            duration_seconds=duration_seconds,
        )

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return self._client.is_ready(deadline_seconds=deadline_seconds)


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


@functools.cache
def gate() -> Gate:
    """Return the gate of this process, made from the settings at its first use."""
    if not settings.ENABLE_REFLEX_INTEGRATION:
        return SwitchedOffGate()
    show_circuit_state(pybreaker.STATE_CLOSED)
    return ReflexGate(
        client=ReflexClient(
            url=settings.REFLEX_URL,
            deadline_seconds=settings.REFLEX_DEADLINE_SECONDS,
            adapter=DeadlineAdapter(connections=settings.THREADS),
        ),
        circuit=Circuit(
            failures=settings.CIRCUIT_FAILURES,
            reset_seconds=settings.CIRCUIT_RESET_SECONDS,
            listeners=(CircuitObserver(),),
        ),
        policy=Policy(
            pii=settings.PII_ACTION,
            pii_by_type=settings.PII_ACTION_BY_TYPE,
            injection_blocks_from=settings.INJECTION_BLOCKS_FROM,
            injection_flags_from=settings.INJECTION_FLAGS_FROM,
            ignored_types=frozenset(settings.IGNORED_TYPES),
        ),
    )
