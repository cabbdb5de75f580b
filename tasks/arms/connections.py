"""The adapters of a process, one for each arm and each behind a circuit of its own."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from safety.outbound.circuit import OPEN, Change, Circuit, Verdict
from safety.outbound.exceptions import Cancelled, CircuitOpen
from safety.outbound.transport import Deadline
from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm, Capability, Health, Protocol
from tasks.arms.exceptions import NotSent, OutcomeUnknown
from tasks.arms.octollm import OctollmAdapter
from tasks.arms.openai import OpenaiAdapter
from tasks.arms.work import Answer, Request, Work

PROBE_SECONDS: Final = 5
_ADAPTERS: Final[Mapping[Protocol, type[OctollmAdapter | OpenaiAdapter]]] = {
    Protocol.OCTOLLM: OctollmAdapter,
    Protocol.OPENAI: OpenaiAdapter,
}


class Connections:
    """Keeps the adapters of arms; safe to share between threads.

    Args:
        secrets: by the arm's name; an arm without one gets none.
        failures: the number of failures in a row after which the arm's health is asked for. If
            that fails too, the arm's circuit opens.
        reset_seconds: from one such check to the next, until the arm is healthy again.
        on_change: called with the arm's name and whether its circuit is open now.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        *,
        failures: int,
        reset_seconds: float,
        on_change: Callable[[str, bool], None] = lambda name, is_open: None,
    ) -> None:
        self._secrets = secrets
        self._failures = failures
        self._reset_seconds = reset_seconds
        self._on_change = on_change
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def of(self, arm: Arm) -> Adapter:
        """Return the adapter of an arm; a changed description gets a new one and a new circuit."""
        # Without the lock, which is only for changes.
        kept = self._kept.get(arm.name)
        if kept is not None and kept.arm == arm:
            return kept.adapter
        with self._lock:
            kept = self._kept.get(arm.name)
            if kept is None or kept.arm != arm:
                if kept is not None:
                    self._retire(kept)
                kept = self._kept[arm.name] = _Kept(arm, self._made(arm))
            return kept.adapter

    def forget(self, name: str) -> None:
        """Drop the adapter of an arm that is no longer called."""
        with self._lock:
            kept = self._kept.pop(name, None)
            if kept is not None:
                self._retire(kept)

    def _retire(self, kept: "_Kept") -> None:
        if kept.adapter.retire():
            self._on_change(kept.arm.name, False)

    def _made(self, arm: Arm) -> "GuardedAdapter":
        adapter = _ADAPTERS[arm.protocol](arm, self._secrets.get(arm.name, ""))

        def tell(change: Change) -> None:
            self._on_change(arm.name, change.after == OPEN)

        return GuardedAdapter(
            adapter,
            failures=self._failures,
            reset_seconds=self._reset_seconds,
            on_change=tell,
        )


class GuardedAdapter:
    """An adapter behind the circuit of its arm; implements `tasks.arms.adapter.Adapter`.

    While the circuit is open, each call raises `NotSent` at once.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        failures: int,
        reset_seconds: float,
        on_change: Callable[[Change], None],
    ) -> None:
        self._adapter = adapter
        self._circuit = Circuit(
            failures=failures,
            reset_seconds=reset_seconds,
            probe=self._works,
            on_change=on_change,
            judge=_verdict_on,
        )

    def request(self, work: Work) -> Request:
        return self._adapter.request(work)

    def call(
        self,
        body: bytes,
        *,
        capability: Capability,
        key: UUID,
        subject_id: UUID,
        request_id: str = "",
        deadline: Deadline,
    ) -> Answer:
        try:
            return self._circuit.call(
                self._adapter.call,
                body,
                capability=capability,
                key=key,
                subject_id=subject_id,
                request_id=request_id,
                deadline=deadline,
            )
        except CircuitOpen as error:
            raise NotSent(error.reason, retry_after_seconds=error.retry_after_seconds) from error

    def check(self, *, deadline: Deadline) -> Health:
        return self._adapter.check(deadline=deadline)

    def retire(self) -> bool:
        """Stop probing; return whether the circuit was open."""
        self._circuit.retire()
        return self._circuit.is_open

    def _works(self) -> bool:
        # A misconfigured arm answers; its calls say themselves that staff have to look.
        return self._adapter.check(deadline=Deadline(PROBE_SECONDS)) is not Health.DOWN


@dataclass(frozen=True)
class _Kept:
    arm: Arm
    adapter: GuardedAdapter


def _verdict_on(error: BaseException) -> Verdict:
    """Return what an error says about an arm: only silence counts against it."""
    if isinstance(error.__cause__, Cancelled):
        return Verdict.NOTHING
    if isinstance(error, NotSent | OutcomeUnknown):
        return Verdict.FAILED
    return Verdict.WORKS
