"""The state of the Reflex Layer, as each process of this machine last saw it.

Each process writes its state to gauges, which all processes of the machine can read
(see orchestrator_site/observability/metrics.py). So the page is the same whichever process
answers. It does not include other machines; Prometheus scrapes each machine.
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
        circuit: closed or open; empty for a moment while it changes.
        answered_at: time of the last answer, None if there was none yet.
        answer: the last answer: safe, flagged or blocked.
        failed_at: time of the last request without an answer.
    """

    pid: int
    circuit: str = ""
    answered_at: datetime | None = None
    answer: str = ""
    failed_at: datetime | None = None


def reflex_state() -> list[ProcessView]:
    """Return a view for each live process of this machine that has a circuit."""
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
        # Without multiprocess mode there is no `pid` label.
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
