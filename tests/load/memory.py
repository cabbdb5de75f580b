"""The memory of each worker during minutes of load."""

from dataclasses import dataclass

from tests.load.options import Options
from tests.load.parts import Parts, Subject
from tests.load.processes import bytes_by_worker, processor_seconds
from tests.load.progress import tell
from tests.load.tables import circumstances, table
from tests.load.throughput import TASKS
from tests.load.wrk import Answers

CONNECTIONS = 50
# The client opens new connections for each piece, so that every worker gets some.
PIECE_SECONDS = 10
# Afterwards all code is loaded and every thread has its database connection.
SETTLED_SECONDS = 60
MEBIBYTE = 1024 * 1024
HEADER = ("worker", "CPU s", "after warm-up, MiB", "at the end, MiB", "peak, MiB", "growth")


@dataclass(frozen=True)
class Piece:
    """A part of the load, and the memory of each worker after it, in bytes."""

    ended_after_seconds: float
    answers: Answers
    memory: dict[int, int]


def measure(parts: Parts, options: Options) -> str:
    """Measure a service from its start; return the section of the document."""
    database = parts.new_database("memory")
    database.fill(TASKS)
    seconds = round(options.minutes * 60)
    tell(f"Memory, {seconds} s of load")
    with database, parts.subject(database, options.workers, options.threads) as subject:
        pieces = watch(subject, seconds)
        processor = {worker.pid: processor_seconds(worker) for worker in subject.service.workers}
        version = database.server_version
    settled_seconds = min(SETTLED_SECONDS, seconds / 10)
    good, refused, errors = (
        sum(getattr(piece.answers, count) for piece in pieces)
        for count in ("good", "refused", "errors")
    )
    return (
        f"{circumstances(options, version)} {CONNECTIONS} connections, both requests alternately "
        f"for {pieces[-1].ended_after_seconds:.0f} s: {good:,} answers of 2xx, {refused:,} of 503, "
        f"{errors:,} errors. Warm-up: {settled_seconds:.0f} s.\n\n"
        + table(HEADER, rows(pieces, settled_seconds, processor))
    )


def watch(subject: Subject, seconds: int) -> list[Piece]:
    """Measure the memory of each worker repeatedly under load."""
    pieces: list[Piece] = []
    passed_seconds = 0.0
    piece_seconds = max(1, min(PIECE_SECONDS, seconds // 10))
    while passed_seconds < seconds:
        answers = subject.measure("mixed", CONNECTIONS, piece_seconds).answers
        passed_seconds += answers.seconds
        pieces.append(Piece(passed_seconds, answers, bytes_by_worker(subject.service)))
    return pieces


def rows(
    pieces: list[Piece], settled_seconds: float, processor: dict[int, float]
) -> list[list[object]]:
    """Return a row for each worker, sorted by growth, the largest first.

    Raises:
        SystemExit: a worker was replaced during the measurement.
    """
    if any(piece.memory.keys() != processor.keys() for piece in pieces):
        raise SystemExit("A worker died under load.")
    settled = next(piece for piece in pieces if piece.ended_after_seconds >= settled_seconds)
    last = pieces[-1].memory
    growth = {worker: last[worker] / settled.memory[worker] - 1 for worker in processor}
    by_growth = sorted(growth, key=growth.__getitem__, reverse=True)
    return [
        [
            number,
            f"{processor[worker]:.0f}",
            f"{settled.memory[worker] / MEBIBYTE:.1f}",
            f"{last[worker] / MEBIBYTE:.1f}",
            f"{max(piece.memory[worker] for piece in pieces) / MEBIBYTE:.1f}",
            f"{growth[worker]:+.1%}",
        ]
        for number, worker in enumerate(by_growth, 1)
    ]
