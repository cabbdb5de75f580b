"""Fixtures for the fault tests, and the table of their results."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.trial import LONG, SHORT, THREADS, WORKERS, Form, Observation, Stage, warm_up
from tests.faults.worker_table import JudgeWork, Work
from tests.postgresql import Postgresql, as_service
from tests.service import Service

DATABASE_TIMEOUT_SECONDS = 2

SEEN = pytest.StashKey[dict[str, Observation]]()
WORKED = pytest.StashKey[dict[str, Work]]()
Judge = Callable[[str, Observation], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="shorter faults, as in CI")
    parser.addoption("--write", action="store_true", help="write the table to docs/reliability.md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEEN] = {}
    config.stash[WORKED] = {}


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    tables = []
    if observations := config.stash[SEEN]:
        tables.append((table.render(observations), table.BEGIN))
    if works := config.stash[WORKED]:
        tables.append((table.render_work(works), table.WORK_BEGIN))
    for rendered, begin in tables:
        terminalreporter.section("results")
        terminalreporter.write(rendered)
        if config.getoption("write") and exitstatus == pytest.ExitCode.OK:
            table.write(rendered, begin=begin)


@pytest.fixture(scope="session")
def form(pytestconfig: pytest.Config) -> Form:
    return SHORT if pytestconfig.getoption("short") else LONG


@pytest.fixture(scope="session")
def judge(pytestconfig: pytest.Config) -> Judge:
    """Record an observation, and fail if anything was wrong."""

    def judge(fault: str, observation: Observation) -> None:
        pytestconfig.stash[SEEN][fault] = observation
        assert not observation.wrong, "\n".join(observation.wrong)

    return judge


@pytest.fixture(scope="session")
def judge_work(pytestconfig: pytest.Config) -> JudgeWork:
    """Record what became of tasks, and fail if anything was wrong."""

    def judge(fault: str, work: Work) -> None:
        pytestconfig.stash[WORKED][fault] = work
        assert not work.wrong, "\n".join(work.wrong)

    return judge


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A migrated PostgreSQL for one module."""
    # The user that runs PostgreSQL cannot enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-faults-"))
    folder.chmod(0o755)
    with Postgresql(folder / "data") as server:
        server.migrate()
        yield server
    shutil.rmtree(folder)


def started(server: Postgresql, reflex_url: str, folder: Path, port: int = 0) -> Service:
    """Start a service with the settings of the fault tests."""
    return Service(
        folder,
        port=port,
        DATABASE_URL=as_service(server.url),
        REFLEX_URL=reflex_url,
        WORKERS=WORKERS,
        THREADS=THREADS,
        DATABASE_TIMEOUT_SECONDS=DATABASE_TIMEOUT_SECONDS,
    )


@contextlib.contextmanager
def stage_on(server: Postgresql, reflex_url: str, folder: Path, form: Form) -> Iterator[Stage]:
    """Start and warm up a service."""
    with started(server, reflex_url, folder) as service:
        assert service.get("/ready").status_code == 200
        stage = Stage(service, server.url, form)
        warm_up(stage)
        yield stage


@pytest.fixture(scope="module")
def stage(
    server: Postgresql,
    bundled_reflex_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
    form: Form,
) -> Iterator[Stage]:
    """A service with the bundled Reflex Layer, on the module's database."""
    folder = tmp_path_factory.mktemp("service")
    with stage_on(server, bundled_reflex_layer, folder, form) as stage:
        yield stage
