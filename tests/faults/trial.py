"""One fault under load: cause it, wait for the recovery, check the results."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator_site.serving.queueing import CONSOLE_THREADS
from tests.faults.footprint import Footprint, footprint
from tests.faults.ledger import (
    broken_promises,
    receipts_without_their_task,
    rows_of,
    stored_without_a_200,
)
from tests.faults.load import Load, Outcome, Probe
from tests.service import Service

WORKERS = 2
THREADS = 8
# The guarantees: for /health at any time, and for the recovery after a fault.
HEALTH_SECONDS = 1.0
RECOVERY_SECONDS = 5.0
SETTLE_SECONDS = 5.0
WARM_UP_SECONDS = 30.0
# Room for caches and reserves of the allocator; a leak of a hundred bytes per request exceeds it.
MEMORY_MIB_PER_WORKER = 8.0
SAMPLE_SECONDS = 0.1
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Form:
    """The durations of a trial.

    Attributes:
        before_seconds: load before the fault.
        fault_seconds: duration of a fault, unless the fault is a single event.
        calm_seconds: how long nothing may fail before the service counts as recovered.
    """

    before_seconds: float
    fault_seconds: float
    calm_seconds: float


LONG = Form(before_seconds=3, fault_seconds=10, calm_seconds=6)
SHORT = Form(before_seconds=0.5, fault_seconds=2.5, calm_seconds=1.5)


@dataclass(frozen=True, slots=True)
class Stage:
    """A service, its database, and the durations of its trials."""

    service: Service
    database_url: str
    form: Form


@dataclass(frozen=True, slots=True)
class Observation:
    """The effects of a fault on the service.

    Attributes:
        done: the action that caused the fault, for the table.
        wrong: broken guarantees, one line for each kind.
        recovered_seconds: from the end of the fault to the end of the last request that did not
            get 200. None if the service has ended; then `before` and `after` are None too.
    """

    done: str
    outcomes: list[Outcome]
    probes: list[Probe]
    stored_without_a_200: int
    wrong: list[str]
    recovered_seconds: float | None = None
    before: Footprint | None = None
    after: Footprint | None = None


def observe(
    stage: Stage,
    fault: Callable[[Load], None],
    *,
    done: str,
    kills_workers: bool = False,
    is_of_clients: bool = False,
) -> Observation:
    """Put load on the service, call `fault`, and return the observation.

    Args:
        fault: causes the fault, and returns when the fault ends.
        kills_workers: connections may break, and one probe may get no answer.
        is_of_clients: other clients are the fault, so no client's submissions may fail for long.
    """
    with Load(stage.service) as load:
        load.go_on(stage.form.before_seconds)
        before = _maximum(stage, load)
        fault(load)
        ended_at = time.monotonic()
        recovered_seconds = _recover(load, ended_at, stage.form)
        after = _settle(stage, load, before)
    rows = rows_of(load, stage.database_url)
    wrong = broken_promises(load.outcomes, rows, may_break_connections=kills_workers)
    wrong += wrong_probes(load.probes, may_lose=int(kills_workers))
    wrong += _wrong_recovery(load, ended_at, recovered_seconds)
    wrong += _wrong_footprint(before, after)
    wrong += _wrong_inside(stage)
    if is_of_clients or kills_workers:
        wrong += wrong_failures(load.outcomes)
    return Observation(
        done=done,
        outcomes=load.outcomes,
        probes=load.probes,
        stored_without_a_200=stored_without_a_200(load.outcomes, rows),
        recovered_seconds=recovered_seconds,
        before=before,
        after=after,
        wrong=wrong,
    )


def warm_up(stage: Stage) -> None:
    """Use every thread of every worker, so that its resources are counted before the fault."""
    full = WORKERS * (THREADS + CONSOLE_THREADS)
    give_up_at = time.monotonic() + WARM_UP_SECONDS
    while footprint(stage.service, stage.database_url).database_connections < full:
        assert time.monotonic() < give_up_at, "the service never used all of its threads"
        Load(stage.service).burst()
    # A forked worker shares memory with the master until it writes to it, in the first requests.
    with Load(stage.service) as load:
        held_mib = 0.0
        while (now := footprint(stage.service, stage.database_url).memory_mib) > held_mib + 1:
            assert time.monotonic() < give_up_at, "the memory of the service never settled"
            held_mib = now
            load.go_on(1)


def _last_trouble_at(load: Load) -> float:
    """Return when the last request without a 200 ended."""
    return max((one.ended_at for one in load.outcomes if one.status != 200), default=-math.inf)


def _recover(load: Load, ended_at: float, form: Form) -> float:
    """Wait until nothing has failed for a while; return how long the recovery took."""
    give_up_at = ended_at + RECOVERY_SECONDS + form.calm_seconds
    while time.monotonic() < give_up_at:
        load.go_on(SAMPLE_SECONDS)
        if time.monotonic() - max(ended_at, _last_trouble_at(load)) > form.calm_seconds:
            break
    return max(0.0, _last_trouble_at(load) - ended_at)


def _maximum(stage: Stage, load: Load) -> Footprint:
    """Return the maximum of each resource over a few samples."""
    seen = []
    for _ in range(SAMPLES):
        seen.append(footprint(stage.service, stage.database_url))
        load.go_on(SAMPLE_SECONDS)
    return Footprint(
        memory_mib=max(one.memory_mib for one in seen),
        threads=max(one.threads for one in seen),
        sockets=max(one.sockets for one in seen),
        database_connections=max(one.database_connections for one in seen),
    )


def _settle(stage: Stage, load: Load, before: Footprint) -> Footprint:
    """Wait until the resources are no more than before, or time is up; return them."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while True:
        after = footprint(stage.service, stage.database_url)
        if time.monotonic() > give_up_at or not _wrong_footprint(before, after):
            return after
        load.go_on(SAMPLE_SECONDS)


def wrong_probes(probes: list[Probe], *, may_lose: int = 0) -> list[str]:
    wrong = []
    failed = [probe for probe in probes if probe.status != 200]
    if len(failed) > may_lose or any(probe.status for probe in failed):
        wrong.append(f"{len(failed)} x /health not answered with 200: {failed[:3]}")
    slowest = max(probe.seconds for probe in probes)
    if slowest > HEALTH_SECONDS:
        wrong.append(f"/health took {slowest:.2f} s")
    return wrong


def wrong_failures(outcomes: list[Outcome]) -> list[str]:
    """Return a line if the submissions of one client failed for too long."""
    longest = 0.0
    failing_since: dict[int, float] = {}
    for one in outcomes:
        if one.is_stored:
            began_at = failing_since.pop(one.client, one.began_at)
            longest = max(longest, one.ended_at - began_at)
        elif one.is_submission:
            failing_since.setdefault(one.client, one.began_at)
    if longest > RECOVERY_SECONDS:
        return [f"the submissions of a client failed for {longest:.1f} s"]
    return []


def _wrong_inside(stage: Stage) -> list[str]:
    """Return faults that no answer shows."""
    wrong = []
    if count := receipts_without_their_task(stage.database_url):
        wrong.append(f"{count} x receipt without its task")
    if count := stage.service.metrics()['octollm_orchestrator_errors_total{type="internal"}']:
        wrong.append(f"{count:.0f} x internal error, as the service counts them")
    return wrong


def _wrong_recovery(load: Load, ended_at: float, recovered_seconds: float) -> list[str]:
    if recovered_seconds > RECOVERY_SECONDS:
        return [f"requests failed until {recovered_seconds:.1f} s after the fault"]
    if not any(one.is_stored and one.began_at > ended_at for one in load.outcomes):
        return ["no task was stored after the fault"]
    return []


def _wrong_footprint(before: Footprint, after: Footprint) -> list[str]:
    slack = {
        "memory_mib": MEMORY_MIB_PER_WORKER * WORKERS,
        "threads": 0,
        # A worker keeps as many connections to the Reflex Layer as it has ever used at a time.
        "sockets": (THREADS + CONSOLE_THREADS) * WORKERS,
        "database_connections": 0,
    }
    return [
        f"{name} did not come back: {getattr(before, name):.0f} -> {getattr(after, name):.0f}"
        for name, more in slack.items()
        if getattr(after, name) > getattr(before, name) + more
    ]
