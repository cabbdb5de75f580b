"""The fault table of docs/reliability.md."""

import re
from collections import Counter
from pathlib import Path

from tests.environment import ROOT
from tests.faults import worker_table
from tests.faults.load import Ending
from tests.faults.trial import Observation
from tests.faults.worker_table import Work

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- The table of the last `make faults ARGS=--write`. -->", "<!-- End. -->"
WORK_BEGIN = "<!-- The table of workers of the last `make faults ARGS=--write`. -->"
COLUMNS = (
    "fault",
    "action",
    "requests",
    "200",
    "503",
    "broken",
    "refused",
    "stored without a 200",
    "longest `/health`",
    "recovered after",
    "memory",
    "threads",
    "sockets",
    "database connections",
)


def render(observations: dict[str, Observation]) -> str:
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line(_cells(fault, seen)) for fault, seen in observations.items()]
    return "\n".join(lines) + "\n"


def render_work(works: dict[str, Work]) -> str:
    lines = [_line(worker_table.COLUMNS), _line(["---"] * len(worker_table.COLUMNS))]
    lines += [_line(worker_table.cells(fault, work)) for fault, work in works.items()]
    return "\n".join(lines) + "\n"


def write(table: str, document: Path = DOCUMENT, *, begin: str = BEGIN) -> None:
    """Replace the table in `document` that follows the mark `begin` with `table`."""
    text, count = re.subn(
        f"(?<={re.escape(begin)}\n).*?(?={re.escape(END)})",
        lambda _: f"\n{table}\n",
        document.read_text(),
        flags=re.DOTALL,
    )
    assert count == 1, f"{document.name} has no marks for the table"
    document.write_text(text)


def _line(cells: "list[str] | tuple[str, ...]") -> str:
    return f"| {' | '.join(cells)} |"


def _cells(fault: str, seen: Observation) -> list[str]:
    statuses = Counter(one.status for one in seen.outcomes)
    endings = Counter(one.ending for one in seen.outcomes)
    return [
        fault,
        seen.done,
        str(len(seen.outcomes)),
        str(statuses[200]),
        str(statuses[503]),
        str(endings[Ending.BROKEN]),
        str(endings[Ending.REFUSED]),
        str(seen.stored_without_a_200),
        f"{1000 * max(probe.seconds for probe in seen.probes):.0f} ms",
        *_recovery(seen),
    ]


def _recovery(seen: Observation) -> list[str]:
    before, after = seen.before, seen.after
    if before is None or after is None:
        return ["ended"] * 5
    return [
        f"{seen.recovered_seconds:.1f} s",
        f"{before.memory_mib:.0f} → {after.memory_mib:.0f} MiB",
        f"{before.threads} → {after.threads}",
        f"{before.sockets} → {after.sockets}",
        f"{before.database_connections} → {after.database_connections}",
    ]
