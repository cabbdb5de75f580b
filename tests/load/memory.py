"""The memory of each worker under minutes of load."""

from dataclasses import dataclass

from tests.load.options import Options
from tests.load.parts import Parts, Subject
from tests.load.processes import bytes_by_worker, processor_seconds
from tests.load.progress import tell
from tests.load.tables import circumstances, table
from tests.load.throughput import TASKS
from tests.load.wrk import Answers

CONNECTIONS = 50
# The client connects anew for each, so that every worker gets its share of the connections.
PIECE_SECONDS = 10
# By then everything has been loaded and every thread has its connection.
SETTLED_SECONDS = 60
MEBIBYTE = 1024 * 1024
HEADER = ("worker", "CPU s", "settled, MiB", "at the end, MiB", "at most, MiB", "growth")


@dataclass(frozen=True)
class Piece:
    """A part of the load, and the bytes of each worker after it."""

    ended_after_seconds: float
    answers: Answers
    memory: dict[int, int]


def measure(parts: Parts, options: Options) -> str:
    """Watch a service from its start on; return the section of the document."""
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
        f"{circumstances(options, version)} {CONNECTIONS} connections, both requests in turn for "
        f"{pieces[-1].ended_after_seconds:.0f} s: {good:,} answered with 2xx, {refused:,} early "
        f"503, {errors:,} errors. Settled: after {settled_seconds:.0f} s.\n\n"
        + table(HEADER, rows(pieces, settled_seconds, processor))
    )


def watch(subject: Subject, seconds: int) -> list[Piece]:
    """Take the memory of each worker again and again under load."""
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
    """Return a row for each worker, the one that grew most first.

    Raises:
        SystemExit: a worker was replaced while it was watched.
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
