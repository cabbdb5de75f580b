"""How each process of this machine last saw the Reflex Layer.

Each process shows it in its gauges, which the others of the same machine can read
(see orchestrator_site/observability/metrics.py); so it makes no difference which one answers.
Those of other machines are not among them: Prometheus scrapes each machine.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import Gauge, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from safety.metrics import CIRCUIT_STATE, LAST_SEEN

_NO_ANSWER: Final = "no_verdict"


@dataclass(frozen=True, slots=True)
class ProcessView:
    """The Reflex Layer as one process last saw it.

    Attributes:
        circuit: closed or open; empty in the moment of a change.
        answered_at: of the last answer, None if there was none yet.
        answer: what it came to: safe, flagged or blocked.
        failed_at: when there was no answer for the last time.
    """

    pid: int
    circuit: str = ""
    answered_at: datetime | None = None
    answer: str = ""
    failed_at: datetime | None = None


def reflex_state() -> list[ProcessView]:
    """Return the views of the living processes of this machine that have a circuit."""
    by_name = {metric.name: metric.samples for metric in _metrics()}
    circuits = _by_process(by_name.get(_name(CIRCUIT_STATE), ()))
    results = _by_process(by_name.get(_name(LAST_SEEN), ()))
    return [_view(pid, circuits[pid], results.get(pid, [])) for pid in sorted(circuits)]


def _metrics() -> Iterable[Metric]:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return [*CIRCUIT_STATE.collect(), *LAST_SEEN.collect()]
    files = [str(file) for file in Path(folder).glob("gauge_liveall_*.db")]
    merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return merged


def _name(gauge: Gauge) -> str:
    return next(iter(gauge.describe())).name


def _by_process(samples: Iterable[Sample]) -> dict[int, list[Sample]]:
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        # A single process does not name itself.
        pid = int(sample.labels.get("pid", os.getpid()))
        found.setdefault(pid, []).append(sample)
    return found


def _view(pid: int, circuits: list[Sample], results: list[Sample]) -> ProcessView:
    times = {
        sample.labels["result"]: datetime.fromtimestamp(sample.value, UTC) for sample in results
    }
    failed_at = times.pop(_NO_ANSWER, None)
    answer = max(times, key=times.__getitem__, default="")
    return ProcessView(
        pid=pid,
        circuit=next((sample.labels["state"] for sample in circuits if sample.value), ""),
        answered_at=times.get(answer),
        answer=answer,
        failed_at=failed_at,
    )
