"""`pip install` with its progress: `python -m orchestrator_site.development.installing ARGUMENTS`.

It runs before any package is installed, so it uses only the standard library.
"""

import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Final

from orchestrator_site.development.moving_line import MovingLine

POLL_SECONDS: Final = 0.1
PIP: Final = ("-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off")


def main() -> int:
    """Run pip and return its exit status; show its output only if it fails."""
    started_at, before = time.monotonic(), _installed()
    with tempfile.TemporaryFile("w+") as log, MovingLine(sys.stdout) as line:
        command = [sys.executable, *PIP, *sys.argv[1:]]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as pip:  # noqa: S603
            while pip.poll() is None:
                log.seek(0)
                busy_with, progress = progress_of(log.read(), _installed() - before)
                line.say(busy_with, f"{progress}, {time.monotonic() - started_at:.0f} s")
                time.sleep(POLL_SECONDS)
        if pip.returncode:
            log.seek(0)
            sys.stderr.write(log.read())
    return pip.returncode


def progress_of(log: str, installed: int) -> tuple[str, str]:
    """Return pip's current step and its progress.

    Args:
        log: pip's output so far.
        installed: how many packages it has installed.
    """
    if all_of_them := re.search(r"^Installing collected packages: (.+)$", log, re.MULTILINE):
        total = all_of_them[1].count(",") + 1
        return "Installing the requirements", f"{min(installed, total)} of {total} packages"
    fetched = len(re.findall(r"^Collecting ", log, re.MULTILINE))
    return "Fetching the requirements", f"{fetched} packages"


def _installed() -> int:
    return sum(1 for _ in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
