"""The load test of the project, in its shortest form."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.environment import ROOT
from tests.load import memory, tables
from tests.load.__main__ import PLACES
from tests.load.options import PARTS
from tests.load.wrk import Answers, answers_of

MISSING = [name for name in ("wrk", "nginx") if not shutil.which(name, path=PLACES)]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
SHORTEST = "--quick --only throughput --connections 4 --workers 1".split()

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """The temporary folder of the load test."""
    # The user that runs PostgreSQL cannot enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-load-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    started = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.load", *arguments],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def remains(folder: Path) -> list[str]:
    """Return the processes and folders that a load test has left behind in `folder`."""
    left = [path.name for path in folder.glob("orchestrator-*")]
    for process in psutil.process_iter():
        # A process may end meanwhile, or belong to another user.
        with contextlib.suppress(psutil.Error):
            if str(folder) in f"{process.cmdline()} {process.environ()}":
                left.append(str(process))
    return left


@needs_tools
def test_the_load_test_prints_a_table_and_leaves_nothing_behind(start: Start, folder: Path) -> None:
    process = start(*SHORTEST)
    output, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if " | 4 | " in line]
    assert [line[0] for line in lines] == ["`POST /submit`", "`GET /tasks/{id}`"]
    for line in lines:
        requests_a_second = float(line[2].split()[0])
        p50, p90, p95, p99, most = (float(cell.split()[0]) for cell in line[3:8])
        assert 5 < requests_a_second < 50_000
        assert 0 < p50 <= p90 <= p95 <= p99 <= most + 1
        assert line[9] == "0"
        assert all(0 < float(cell) < 1000 for cell in line[10:])
    assert remains(folder) == []


@needs_tools
def test_a_signal_stops_the_load_test_and_everything_it_started(start: Start, folder: Path) -> None:
    process = start(*SHORTEST)
    assert process.stderr is not None
    assert process.stderr.readline() == "Throughput, round 1 of 1 ...\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert remains(folder) == []


def test_the_console_is_measured_page_by_page_and_nothing_is_left_behind(
    start: Start, folder: Path
) -> None:
    process = start(*"--only console --rows 300 --rounds 1".split())
    output, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if " | " in line]
    assert lines[0] == ["page", "median ms", "slowest statement ms", "statements"]
    pages = {page: [float(cell) for cell in cells] for page, *cells in lines[2:]}
    known = {"dashboard", "tasks", "tasks, status failed, yesterday", "a task", "/metrics"}
    assert known <= pages.keys()
    # A page with another status than 200 has the status in its name.
    assert [page for page in pages if re.search(r": \d+$", page)] == []
    for whole_ms, statement_ms, statements in pages.values():
        assert 0 < statement_ms < whole_ms < 5_000
        assert 1 <= statements <= 50
    assert "Execution Time: " in output
    assert remains(folder) == []


def test_screening_is_measured_by_size(start: Start, folder: Path) -> None:
    process = start(*"--quick --only screening".split())
    output, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if " | " in line]
    assert lines[0][:4] == ["bytes", "prose ms", "every pattern ms", "slowest ms"]
    assert [line[0] for line in lines[2:]] == ["1,000", "10,000"]
    for line in lines[2:]:
        prose, found, slowest = map(float, line[1:4])
        # After one round, texts of about the same cost may be in either order.
        assert 0 < prose < min(found, slowest)
        assert max(found, slowest) < 5_000
    assert remains(folder) == []


def test_requests_without_an_answer_are_errors() -> None:
    answers = answers_of(
        {"seconds": 2.0, "sent": 111, "good": 90, "refused": 5, "wrong": 1, "socket_errors": 2}
        | dict.fromkeys(("p50", "p90", "p95", "p99", "max"), 1.0),
        connections=8,
    )
    # Of 111 requests, 96 had an answer, 8 were under way at the end, and one was wrk's own.
    assert answers == Answers(
        seconds=2.0,
        good=90,
        refused=5,
        errors=7,
        p50=1.0,
        p90=1.0,
        p95=1.0,
        p99=1.0,
        max=1.0,
        mean=2.0 * 8 / 96 * 1000,
    )


def test_a_worker_that_was_replaced_has_no_growth() -> None:
    answers = Answers(10, 1, 0, 0, 1, 1, 1, 1, 1, 1)
    pieces = [memory.Piece(10, answers, {1: 100}), memory.Piece(20, answers, {2: 100})]
    with pytest.raises(SystemExit, match="A worker died under load"):
        memory.rows(pieces, 10, {2: 1.0})


@pytest.mark.parametrize("part", PARTS)
def test_a_table_replaces_the_previous_one_in_the_document(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text(tables.DOCUMENT.read_text())
    monkeypatch.setattr(tables, "DOCUMENT", document)
    tables.write(part, "first")
    before = document.read_text()
    tables.write(part, "second")
    assert document.read_text() == before.replace("\nfirst\n", "\nsecond\n") != before
