"""The load test of the project: `make bench`.

It starts PostgreSQL, the service and a stand-in for the Reflex Layer, sends requests with wrk, and
stops everything. docs/performance.md explains the figures.
"""

import os
import shutil
import signal
import sys
from types import FrameType

from tests.environment import use_defaults
from tests.load import (
    clients,
    console,
    execution,
    memory,
    plans,
    scale,
    screening,
    tables,
    throughput,
)
from tests.load.options import DRIVEN_BY_WRK, WITH_NGINX, parse
from tests.load.parts import STOPPING_SIGNALS, running_parts

MEASUREMENTS = {
    "throughput": throughput.measure,
    "scale": scale.measure,
    "memory": memory.measure,
    "screening": screening.measure,
    "clients": clients.measure,
    "execution": execution.measure,
    "plans": plans.measure,
    "console": console.measure,
}
# Debian installs nginx in a folder that is only in the PATH of root.
PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def main() -> None:
    use_defaults()
    options = parse(sys.argv[1:])
    nginx = None
    if {*options.only} & {*WITH_NGINX}:
        nginx = required("nginx")
    if {*options.only} & {*DRIVEN_BY_WRK}:
        required("wrk")
    for number in STOPPING_SIGNALS:
        signal.signal(number, stop)
    # At most two services run at once: one with an empty table and one with a full table.
    with running_parts(nginx, 2, options.workers, options.threads) as parts:
        for name in options.only:
            section = MEASUREMENTS[name](parts, options)
            sys.stdout.write(f"\n{section}\n\n")
            sys.stdout.flush()
            if options.write:
                tables.write(name, section)


def required(program: str) -> str:
    found = shutil.which(program, path=PLACES)
    if found is None:
        raise SystemExit(f"{program} was not found; on Debian: apt-get install wrk nginx-light")
    return found


def stop(number: int, frame: FrameType | None) -> None:
    """End the run, and ignore further signals while everything is being stopped."""
    for stopping in STOPPING_SIGNALS:
        signal.signal(stopping, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
