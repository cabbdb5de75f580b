"""Everything that a measurement needs, started and stopped together."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import requests

from tests.load.databases import Database
from tests.load.processes import processor_seconds, wait_until_idle
from tests.load.reflex_stand_in import ReflexStandIn
from tests.load.wrk import Answers, Client, Kind
from tests.postgresql import Postgresql, new_database
from tests.service import Service

STOPPING_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# In addition to those of the services: for the load test itself, and for the server.
SPARE_CONNECTIONS = 20
# Enough for every thread of a service to serve a request and open its database connection.
WARM_UP_CONNECTIONS, WARM_UP_SECONDS = 50, 2
KILL_SECONDS = 5


@dataclass(frozen=True)
class Point:
    """A measurement: the answers, and the CPU time per answer, in milliseconds."""

    answers: Answers
    service_ms: float
    postgresql_ms: float


@dataclass(frozen=True)
class Subject:
    """A running service with its own database, and a client of it."""

    service: Service
    database: Database
    client: Client
    postgresql: psutil.Process

    def measure(self, kind: Kind, connections: int, seconds: int) -> Point:
        mains = (psutil.Process(self.service.process.pid), self.postgresql)
        before = [processor_seconds(main) for main in mains]
        answers = self.client.run(kind, connections, seconds)
        # When its time is up, wrk ends without waiting for the outstanding answers.
        wait_until_idle(mains[0])
        service_ms, postgresql_ms = (
            (processor_seconds(main) - earlier) / answers.count * 1000
            for main, earlier in zip(mains, before, strict=True)
        )
        return Point(answers, service_ms, postgresql_ms)


class Parts:
    """A running PostgreSQL and a stand-in for the Reflex Layer; starts services on them."""

    def __init__(self, folder: Path, server: Postgresql, reflex_url: str) -> None:
        self.folder = folder
        self._server = server
        self.stand_in_url = reflex_url

    @property
    def postgresql(self) -> psutil.Process:
        return self._server.processes[0]

    def new_database(self, name: str) -> Database:
        return Database(new_database(self._server.url, name))

    @contextlib.contextmanager
    def subject(
        self, database: Database, workers: int, threads: int, **variables: str
    ) -> Iterator[Subject]:
        """Start a service on `database`, and warm it up by reading and submitting tasks."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with Service(
            folder,
            DATABASE_URL=database.url,
            REFLEX_URL=self.stand_in_url,
            WORKERS=workers,
            THREADS=threads,
            **variables,
        ) as service:
            if not is_ready(service):
                raise SystemExit(f"The service is not ready:\n{service.log.read_text()}")
            client = Client(folder, service.url)
            client.read(database.random_task_ids())
            subject = Subject(service, database, client, self.postgresql)
            subject.measure("mixed", WARM_UP_CONNECTIONS, WARM_UP_SECONDS)
            yield subject


def is_ready(service: Service) -> bool:
    try:
        return service.get("/ready").ok
    except requests.RequestException:
        # The service has ended, because a setting was wrong.
        return False


@contextlib.contextmanager
def running_parts(nginx: str | None, services: int, workers: int, threads: int) -> Iterator[Parts]:
    """Start what all measurements share; afterwards stop it and remove its files.

    Args:
        nginx: path of the program; None if no service will run.
        services: how many services may run at once.
        workers, threads: of each service.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-load-")))
        # The user that runs PostgreSQL must be able to reach its data.
        folder.chmod(0o755)
        # Temporary files of a service are removed with the folder, even after a kill.
        os.environ["TMPDIR"] = str(folder)
        # This includes a process that was being started when a signal arrived.
        stack.callback(end_children)
        with stopping_signals_later():
            server = stack.enter_context(Postgresql(folder / "postgresql"))
            allow_connections(server, services * workers * threads + SPARE_CONNECTIONS)
        reflex_url = ""
        if nginx is not None:
            reflex_url = stack.enter_context(ReflexStandIn(nginx, folder)).url
        yield Parts(folder, server, reflex_url)


@contextlib.contextmanager
def stopping_signals_later() -> Iterator[None]:
    """Block the stopping signals: PostgreSQL is not our child, so a half-started one would stay.

    Processes started here inherit the blocked signals; PostgreSQL unblocks them itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def allow_connections(server: Postgresql, count: int) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET max_connections = {count}")
    server.stop()
    server.start()


def end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(children, timeout=KILL_SECONDS)
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=KILL_SECONDS)
