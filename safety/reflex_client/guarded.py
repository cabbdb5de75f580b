"""The client behind its circuit: every failed call becomes `NoVerdict`."""

import logging

from safety.exceptions import NotAsked, NoVerdict, TooManyFindings
from safety.findings import Answer
from safety.metrics import CIRCUIT_STATE, PROBES
from safety.outbound.circuit import CLOSED, STATES, Change, Circuit
from safety.outbound.exceptions import AnswerTooLong, CallFailed, CircuitOpen
from safety.outbound.transport import Deadline
from safety.reflex_client.client import ReflexClient

logger = logging.getLogger(__name__)


class GuardedClient:
    """Calls the Reflex Layer as long as the circuit is closed.

    Args:
        failures: the number of failures in a row that starts a probe.
        reset_seconds: from the start of one probe to the start of the next.
        probe_deadline_seconds: for each probe.
    """

    def __init__(
        self,
        client: ReflexClient,
        *,
        failures: int,
        reset_seconds: float,
        probe_deadline_seconds: float,
    ) -> None:
        self._client = client
        self._probe_deadline_seconds = probe_deadline_seconds
        self._circuit = Circuit(
            failures=failures, reset_seconds=reset_seconds, probe=self._probe, on_change=_report
        )
        _show_state(CLOSED)

    def process(self, text: str, *, deadline: Deadline, request_id: str) -> Answer:
        """Have `text` screened, which has 1 to `MAX_TEXT_BYTES` bytes of UTF-8.

        Raises:
            NoVerdict: there is no answer; see `safety.exceptions`.
        """
        try:
            return self._circuit.call(
                self._client.process, text, deadline=deadline, request_id=request_id
            )
        except CircuitOpen as error:
            raise NotAsked(error.reason, retry_after_seconds=error.retry_after_seconds) from error
        except AnswerTooLong as error:
            # Only findings can make an answer this long.
            raise TooManyFindings("too many findings") from error
        except CallFailed as error:
            raise NoVerdict(error.reason, retry_after_seconds=error.retry_after_seconds) from error

    def is_ready(self, *, deadline_seconds: float) -> bool:
        """Return whether a text would be screened now."""
        return not self._circuit.is_open and self._client.is_ready(
            deadline_seconds=deadline_seconds
        )

    def _probe(self) -> bool:
        works = self._client.probe(deadline_seconds=self._probe_deadline_seconds)
        PROBES.labels("passed" if works else "failed").inc()
        return works


def _report(change: Change) -> None:
    """Report a change of the circuit in the metrics and in the log."""
    _show_state(change.after)
    logger.warning(
        "Circuit changed its state",
        extra={
            "circuit": change.after,
            "circuit_before": change.before,
            "failures": change.failures,
        },
    )


def _show_state(current: str) -> None:
    for state in STATES:
        CIRCUIT_STATE.labels(state).set(state == current)
