"""The options of the load test."""

import argparse
import os
from dataclasses import dataclass

# Measured by default.
USUAL = ("throughput", "scale", "memory", "screening", "clients", "execution", "plans")
DRIVEN_BY_WRK = ("throughput", "scale", "memory", "clients")
WITH_NGINX = (*DRIVEN_BY_WRK, "execution", "plans")
PARTS = (*USUAL, "console")
QUICK = {
    "connections": [1, 8],
    "rounds": 1,
    "seconds": 1,
    "rows": 20_000,
    "minutes": 0.2,
    "sizes": [1_000, 10_000],
}


@dataclass(frozen=True)
class Options:
    only: list[str]
    connections: list[int]
    rounds: int
    seconds: int
    rows: int
    minutes: float
    sizes: list[int]
    workers: int
    threads: int
    write: bool


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Load test of the project: starts and stops all that it needs, prints tables.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def add(name: str, meaning: str, default: int) -> None:
        parser.add_argument(name, help=meaning, default=default, type=positive, metavar="N")

    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(USUAL), help="parts to measure"
    )
    parser.add_argument(
        "--connections",
        nargs="+",
        type=positive,
        default=[1, 8, 50, 200],
        metavar="N",
        help="numbers of concurrent connections; each is a row of the throughput table",
    )
    add("--rounds", "how often each figure is measured", 3)
    add("--seconds", "how long each measurement takes", 5)
    add("--rows", "tasks in the full table", 1_000_000)
    parser.add_argument(
        "--minutes", type=float, default=10, metavar="N", help="how long memory is measured"
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=positive,
        default=[1_000, 10_000, 100_000],
        metavar="N",
        help="sizes of the screened texts in bytes; each is a row of the table",
    )
    # use_defaults() has put the service's defaults into the environment.
    add("--workers", "processes of the service", int(os.environ["ORCHESTRATOR_WORKERS"]))
    add("--threads", "threads in each of them", int(os.environ["ORCHESTRATOR_THREADS"]))
    parser.add_argument(
        "--write", action="store_true", help="write the tables to docs/performance.md"
    )
    parser.add_argument(
        "--quick", action="store_true", help="as little as possible, to check that everything works"
    )
    if "--quick" in arguments:
        parser.set_defaults(**QUICK)
    chosen = vars(parser.parse_args(arguments))
    del chosen["quick"]
    return Options(**chosen)
