"""Figures as Markdown tables, on the terminal and in docs/performance.md."""

import os
import platform
import re
import shlex
import statistics
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.environment import ROOT
from tests.load.options import Options

DOCUMENT = ROOT / "docs/performance.md"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def median(values: Iterable[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, with the minimum and the maximum in brackets."""
    least, most = min(values), max(values)
    return f"{median(values, digits)} ({least:.{digits}f}–{most:.{digits}f})"


def circumstances(options: Options, server_version: str) -> str:
    """Describe the command, the date, the machine and the processes of a measurement."""
    return (
        f"{machine(server_version)[:-1]}; {options.workers} processes of {options.threads} threads."
    )


def machine(server_version: str = "") -> str:
    """Describe the command, the date and the machine of a measurement."""
    arguments = shlex.join(argument for argument in sys.argv[1:] if argument != "--write")
    server = f", PostgreSQL {server_version}" if server_version else ""
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({processor()}), "
        f"Python {platform.python_version()}{server}."
    )


def processor() -> str:
    """Return the model of the processor if the system tells it, otherwise its architecture."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return model.group(1) if model else platform.machine()


def write(part: str, section: str) -> None:
    """Put `section` between the marks of `part` in the document."""
    start, end = f"<!-- bench: {part} -->", f"<!-- bench: end of {part} -->"
    before, _, rest = DOCUMENT.read_text().partition(start)
    _, _, after = rest.partition(end)
    DOCUMENT.write_text(f"{before}{start}\n{section}\n{end}{after}")
