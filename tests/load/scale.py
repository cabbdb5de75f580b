"""An empty table compared with a full one, alternately, on two databases of one server."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from tests.load.options import Options
from tests.load.parts import Parts, Point, Subject
from tests.load.progress import tell
from tests.load.tables import circumstances, median, spread, table
from tests.load.wrk import REQUESTS, Kind

CONNECTIONS = 8
# The "empty" table holds these in the measurement of reads.
TASKS_TO_READ = 100

FIGURES: dict[str, Callable[[Point], float]] = {
    "p50 ms": lambda point: point.answers.p50,
    "mean ms": lambda point: point.answers.mean,
    "CPU ms": lambda point: point.service_ms + point.postgresql_ms,
}

Pair = tuple[list[Point], list[Point]]


def measure(parts: Parts, options: Options) -> str:
    """Compare both requests; return the section of the document."""
    empty, full = parts.new_database("empty_table"), parts.new_database("full_table")
    tell(f"Filling a table with {options.rows:,} tasks")
    full.fill(options.rows)
    full.settle()
    empty.fill(TASKS_TO_READ)
    pairs: dict[Kind, list[Pair]] = defaultdict(list)
    with (
        empty,
        full,
        parts.subject(empty, options.workers, options.threads) as on_empty,
        parts.subject(full, options.workers, options.threads) as on_full,
    ):
        for turn in range(options.rounds):
            tell(f"Empty table and {options.rows:,} tasks, round {turn + 1} of {options.rounds}")
            for kind in REQUESTS:
                prepare = partial(empty_again, on_empty, kind)
                pair = compare(on_empty, on_full, kind, options.seconds, prepare_first=prepare)
                pairs[kind].append(pair)
        version = empty.server_version
    return (
        f"{circumstances(options, version)} {CONNECTIONS} connections. Rounds: "
        f"{options.rounds}, each with the tables empty, full, full, empty for {options.seconds} s. "
        "Medians; minimum and maximum in brackets.\n\n"
        + table(
            ("request", "measure", "empty table", f"{options.rows:,} tasks", "ratio"),
            [row for kind, taken in pairs.items() for row in rows(kind, taken)],
        )
    )


def empty_again(subject: Subject, kind: Kind) -> None:
    """Remove what the last measurement may have submitted."""
    subject.database.fill(0 if kind == "submit" else TASKS_TO_READ)
    subject.client.read(subject.database.random_task_ids())


def compare(
    first: Subject,
    second: Subject,
    kind: Kind,
    seconds: int,
    *,
    prepare_first: Callable[[], None] = lambda: None,
) -> Pair:
    pair: Pair = ([], [])
    # In this order, a machine that becomes slower or faster affects both equally.
    for is_second in (False, True, True, False):
        if not is_second:
            prepare_first()
        subject = second if is_second else first
        pair[is_second].append(subject.measure(kind, CONNECTIONS, seconds))
    return pair


def rows(kind: Kind, pairs: list[Pair]) -> list[list[str]]:
    """Return a row for each measure; the ratio of a round is the ratio of its sums."""
    table_rows = []
    for figure, of in FIGURES.items():
        empty, full = ([sum(map(of, pair[place])) / 2 for pair in pairs] for place in (0, 1))
        ratios = [more / less for more, less in zip(full, empty, strict=True)]
        table_rows.append(
            [REQUESTS[kind], figure, median(empty, 2), median(full, 2), spread(ratios, 2)]
        )
    return table_rows
