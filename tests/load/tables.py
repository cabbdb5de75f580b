"""Figures as Markdown tables, on paper and in docs/performance.md."""

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
    """Return the median, and the least and the most in brackets."""
    least, most = min(values), max(values)
    return f"{median(values, digits)} ({least:.{digits}f}–{most:.{digits}f})"


def circumstances(options: Options, server_version: str) -> str:
    """Say by which command, when and on what the figures of a running service were taken."""
    return (
        f"{machine(server_version)[:-1]}; {options.workers} processes of {options.threads} threads."
    )


def machine(server_version: str = "") -> str:
    """Say by which command, when and on what figures were taken."""
    arguments = shlex.join(argument for argument in sys.argv[1:] if argument != "--write")
    server = f", PostgreSQL {server_version}" if server_version else ""
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({processor()}), "
        f"Python {platform.python_version()}{server}."
    )


def processor() -> str:
    """Return its model if the system says so, else its kind."""
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
