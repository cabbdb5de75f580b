"""Requests per second, their latency and their CPU time."""

from collections import defaultdict

from tests.load.options import Options
from tests.load.parts import Parts, Point
from tests.load.progress import tell
from tests.load.tables import circumstances, median, spread, table
from tests.load.wrk import REQUESTS, Kind

# Enough for reads to hit different tasks.
TASKS = 10_000
HEADER = (
    "request",
    "connections",
    "requests/s",
    "p50 ms",
    "p90 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "503 (overload)",
    "errors",
    "CPU ms, service",
    "CPU ms, PostgreSQL",
)


def measure(parts: Parts, options: Options) -> str:
    """Measure all numbers of connections in each round; return the section of the document."""
    database = parts.new_database("throughput")
    database.fill(TASKS)
    points: dict[tuple[Kind, int], list[Point]] = defaultdict(list)
    with database, parts.subject(database, options.workers, options.threads) as subject:
        for turn in range(options.rounds):
            tell(f"Throughput, round {turn + 1} of {options.rounds}")
            for kind in REQUESTS:
                for connections in options.connections:
                    point = subject.measure(kind, connections, options.seconds)
                    points[kind, connections].append(point)
        version = database.server_version
    return (
        f"{circumstances(options, version)} Rounds: {options.rounds}, "
        f"{options.seconds} s per row. Medians; minimum and maximum in brackets.\n\n"
        + table(HEADER, [row(*key, taken) for key, taken in points.items()])
    )


def row(kind: Kind, connections: int, points: list[Point]) -> list[object]:
    answers = [point.answers for point in points]
    share_refused = sum(a.refused for a in answers) / sum(a.count for a in answers)
    return [
        REQUESTS[kind],
        connections,
        spread([a.good / a.seconds for a in answers], 0),
        median(a.p50 for a in answers),
        median(a.p90 for a in answers),
        spread([a.p95 for a in answers]),
        median(a.p99 for a in answers),
        f"{max(a.max for a in answers):.0f}",
        f"{share_refused:.2%}",
        sum(a.errors for a in answers),
        median((point.service_ms for point in points), 2),
        median((point.postgresql_ms for point in points), 2),
    ]
