"""Faults of the service's own processes, and SIGTERM, under load."""

import contextlib
import threading
import time
from pathlib import Path

from tests.faults.conftest import Judge, started
from tests.faults.ledger import broken_promises, rows_of, stored_without_a_200
from tests.faults.load import Ending, Load
from tests.faults.trial import (
    LONG,
    RECOVERY_SECONDS,
    Form,
    Observation,
    Stage,
    observe,
    wrong_failures,
    wrong_probes,
)
from tests.postgresql import Postgresql
from tests.service import Service

# How long SIGTERM comes after the start of a burst of new connections: while they wait in the
# kernel, for a thread, for the Reflex Layer, for the database.
SIGTERM_AFTER_SECONDS = (0.0, 0.01, 0.02, 0.04, 0.08)


def test_worker_killed(stage: Stage, judge: Judge) -> None:
    def fault(load: Load) -> None:
        stage.service.workers[0].kill()

    judge(
        "Worker killed",
        observe(stage, fault, done="`kill -9` of one of two workers", kills_workers=True),
    )


def test_worker_stopped(stage: Stage, judge: Judge) -> None:
    def fault(load: Load) -> None:
        stage.service.workers[0].suspend()

    judge(
        "Worker stopped",
        observe(stage, fault, done="SIGSTOP to one of two workers", kills_workers=True),
    )


def test_master_killed(
    server: Postgresql, bundled_reflex_layer: str, tmp_path: Path, form: Form, judge: Judge
) -> None:
    service = started(server, bundled_reflex_layer, tmp_path)
    assert service.get("/ready").status_code == 200
    with Load(service) as load:
        load.go_on(form.before_seconds)
        killed_at = time.monotonic()
        service.process.kill()
        service.process.wait()
        port = service.port
        with started_once_the_port_is_free(server, bundled_reflex_layer, tmp_path, port) as new:
            free_after_seconds = time.monotonic() - killed_at
            assert new.get("/health").status_code == 200
            answers_at = time.monotonic()
            load.go_on(form.calm_seconds)
            load.end()
    rows = rows_of(load, server.url)
    wrong = broken_promises(load.outcomes, rows, may_break_connections=True)
    probes = [
        one
        for one in load.probes
        if one.began_at + one.seconds < killed_at or one.began_at > answers_at
    ]
    wrong += wrong_probes(probes)
    wrong += wrong_failures(load.outcomes)
    judge(
        "Master killed",
        Observation(
            done="`kill -9` of gunicorn's master, restart once the port was free, "
            f"{free_after_seconds:.1f} s later",
            outcomes=load.outcomes,
            probes=probes,
            stored_without_a_200=stored_without_a_200(load.outcomes, rows),
            wrong=wrong,
        ),
    )


def started_once_the_port_is_free(
    server: Postgresql, reflex_url: str, folder: Path, port: int
) -> Service:
    """Restart the service as a supervisor does."""
    give_up_at = time.monotonic() + RECOVERY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            return started(server, reflex_url, folder, port)
        assert time.monotonic() < give_up_at, "the port never became free"


def test_sigterm(
    server: Postgresql, bundled_reflex_layer: str, tmp_path: Path, form: Form, judge: Judge
) -> None:
    delays = SIGTERM_AFTER_SECONDS if form is LONG else SIGTERM_AFTER_SECONDS[1:3]
    rounds = []
    for number, delay_seconds in enumerate(delays):
        folder = tmp_path / str(number)
        folder.mkdir()
        with started(server, bundled_reflex_layer, folder) as service:
            rounds.append(stop_under_load(service, server.url, form, delay_seconds))
    judge(
        "SIGTERM",
        Observation(
            done=f"SIGTERM to gunicorn during a burst of connections, {len(rounds)} times",
            outcomes=[outcome for one in rounds for outcome in one.outcomes],
            probes=[probe for one in rounds for probe in one.probes],
            stored_without_a_200=sum(one.stored_without_a_200 for one in rounds),
            wrong=[wrong for one in rounds for wrong in one.wrong],
        ),
    )


def stop_under_load(
    service: Service, database_url: str, form: Form, delay_seconds: float
) -> Observation:
    assert service.get("/ready").status_code == 200
    with Load(service) as load:
        load.go_on(form.before_seconds)
        burst = threading.Thread(target=load.burst)
        burst.start()
        load.go_on(delay_seconds)
        signalled_at = time.monotonic()
        exit_status = service.stop()
        burst.join()
    rows = rows_of(load, database_url)
    wrong = broken_promises(load.outcomes, rows, may_break_connections=True)
    probes = [probe for probe in load.probes if probe.began_at < signalled_at]
    wrong += wrong_probes(probes)
    if dropped := [
        one
        for one in load.outcomes
        if one.ending is not Ending.ANSWERED and one.sent_at and one.sent_at < signalled_at
    ]:
        wrong.append(f"{len(dropped)} x sent before SIGTERM and dropped: {dropped[:3]}")
    if exit_status:
        wrong.append(f"exit status {exit_status}")
    return Observation(
        done="",
        outcomes=load.outcomes,
        probes=probes,
        stored_without_a_200=stored_without_a_200(load.outcomes, rows),
        wrong=wrong,
    )
