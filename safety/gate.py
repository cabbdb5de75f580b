"""The gate: screening plus policy, behind one interface for the rest of the service."""

import functools
import time
from dataclasses import replace
from typing import Protocol

from django.conf import settings

from safety.document import Document
from safety.exceptions import NotAsked, NoVerdict
from safety.findings import Finding
from safety.metrics import LAST_SEEN, REFLEX_CALLS, SCREENING_SECONDS, UNSCREENED
from safety.outbound.transport import Deadline
from safety.policy import Policy, Verdict
from safety.reflex_client.client import ReflexClient
from safety.reflex_client.guarded import GuardedClient
from safety.screening import Screening, screen


class Gate(Protocol):
    """Screens a submission before it is stored."""

    @property
    def policy_version(self) -> str:
        """The version of the current policy; empty if there is no policy."""

    def screen(self, document: Document, *, request_id: str) -> Screening:
        """Return the screening of `document`.

        Raises:
            NoVerdict: the submission can be neither accepted nor refused.
        """

    def blocks(self, finding: Finding) -> bool:
        """Return whether the current policy refuses every text with such a finding."""

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        """Return whether a screening would get an answer; None if screening is switched off."""


class ReflexGate:
    """Calls the Reflex Layer and applies the policy.

    Args:
        deadline_seconds: for a whole screening, including all its calls and retries.
    """

    def __init__(self, *, client: GuardedClient, policy: Policy, deadline_seconds: float) -> None:
        self._client = client
        self._policy = policy
        self._deadline_seconds = deadline_seconds
        self.policy_version = policy.version

    def screen(self, document: Document, *, request_id: str) -> Screening:
        started = time.perf_counter()
        ask = functools.partial(
            self._client.process,
            deadline=Deadline(self._deadline_seconds),
            request_id=request_id,
        )
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
        return self._client.is_ready(deadline_seconds=deadline_seconds)


class SwitchedOffGate:
    """Accepts everything and marks it as unscreened."""

    policy_version = ""

    def screen(self, document: Document, *, request_id: str) -> Screening:
        UNSCREENED.inc()
        return Screening(document, Verdict.UNSCREENED)

    def blocks(self, finding: Finding) -> bool:
        return False

    def is_ready(self, *, deadline_seconds: float) -> bool | None:
        return None


@functools.cache
def gate() -> Gate:
    """Return the gate of this process, built from the settings on first use."""
    if not settings.ENABLE_REFLEX_INTEGRATION:
        return SwitchedOffGate()
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
