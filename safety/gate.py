"""The gate: screening plus policy, behind one interface for the rest of the service."""

import functools
import time
from dataclasses import replace
from typing import Protocol

from django.conf import settings
from prometheus_client import Counter

from safety.document import Document
from safety.exceptions import NotAsked, NoVerdict
from safety.findings import Answer, Finding
from safety.metrics import (
    LAST_SEEN,
    REFLEX_CALLS,
    SCREENING_SECONDS,
    UNSCREENED,
    UNSCREENED_ANSWERS,
)
from safety.outbound.transport import Deadline
from safety.policy import Policy, Verdict
from safety.reflex_client.client import ReflexClient
from safety.reflex_client.guarded import GuardedClient
from safety.screening import Screening, screen


class Gate(Protocol):
    """Screens a submission or an answer before it is stored."""

    @property
    def policy_version(self) -> str:
        """The version of the current policy; empty if there is no policy."""

    def screen(self, document: Document, *, request_id: str) -> Screening:
        """Return the screening of `document`.

        Raises:
            NoVerdict: the document can be neither accepted nor refused; `NotAsked` if the circuit
                is open.
        """

    def blocks(self, finding: Finding) -> bool:
        """Return whether the current policy refuses every text with such a finding."""

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        """Return whether a screening would get an answer; None if screening is switched off."""


class ReflexGate:
    """Calls the Reflex Layer and applies the policy.

    Args:
        deadline_seconds: for a whole screening, including all its calls and retries.
        is_deadline_of_each_call: the deadline is for each call of a screening instead. A document
            that takes many calls has no common deadline then.
    """

    def __init__(
        self,
        *,
        client: GuardedClient,
        policy: Policy,
        deadline_seconds: float,
        is_deadline_of_each_call: bool = False,
    ) -> None:
        self.client = client
        self._policy = policy
        self._deadline_seconds = deadline_seconds
        self._is_deadline_of_each_call = is_deadline_of_each_call
        self.policy_version = policy.version

    def screen(self, document: Document, *, request_id: str) -> Screening:
        started = time.perf_counter()
        of_all_calls = Deadline(self._deadline_seconds)

        def ask(text: str) -> Answer:
            deadline = of_all_calls
            if self._is_deadline_of_each_call:
                deadline = Deadline(self._deadline_seconds)
            return self.client.process(text, deadline=deadline, request_id=request_id)

        try:
            screening = screen(document, ask=ask, policy=self._policy)
        except NotAsked:
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

    def blocks(self, finding: Finding) -> bool:
        return self._policy.blocks(finding)

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return self.client.is_ready(deadline_seconds=deadline_seconds)


class SwitchedOffGate:
    """Accepts everything and marks it as unscreened.

    Args:
        counter: counts what was accepted.
    """

    policy_version = ""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def screen(self, document: Document, *, request_id: str) -> Screening:
        self._counter.inc()
        return Screening(document, Verdict.UNSCREENED)

    def blocks(self, finding: Finding) -> bool:
        return False

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return None


@functools.cache
def gate() -> Gate:
    """Return this process's gate for submissions, built from the settings on first use."""
    if not settings.ENABLE_REFLEX_INTEGRATION:
        return SwitchedOffGate(UNSCREENED)
    return ReflexGate(
        client=GuardedClient(
            ReflexClient(url=settings.REFLEX_URL, connections=settings.THREADS),
            failures=settings.CIRCUIT_FAILURES,
            reset_seconds=settings.CIRCUIT_RESET_SECONDS,
            probe_deadline_seconds=settings.REFLEX_DEADLINE_SECONDS,
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


def answer_gate() -> Gate:
    """Return this process's gate for the answers of arms, with the circuit of `gate()`."""
    of_submissions = gate()
    if not isinstance(of_submissions, ReflexGate):
        return SwitchedOffGate(UNSCREENED_ANSWERS)
    return _answer_gate_beside(of_submissions)


@functools.lru_cache(maxsize=1)
def _answer_gate_beside(of_submissions: ReflexGate) -> Gate:
    return ReflexGate(
        # Both ask the same Reflex Layer, and a process has one circuit for it.
        client=of_submissions.client,
        deadline_seconds=settings.REFLEX_DEADLINE_SECONDS,
        is_deadline_of_each_call=True,
        policy=Policy(
            pii=settings.OUTPUT_PII_ACTION,
            injection_blocks_from=settings.OUTPUT_INJECTION_BLOCKS_FROM,
            injection_flags_from=settings.INJECTION_FLAGS_FROM,
            ignored_types=frozenset(settings.IGNORED_TYPES),
        ),
    )
