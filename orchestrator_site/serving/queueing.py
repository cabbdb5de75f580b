"""The threads of a process, and how long the request under way waited for one."""

from contextvars import ContextVar
from typing import Final

# Of `THREADS`, these many are left for the probes and for refusing.
SPARE_THREADS: Final = 2
# The console has threads of its own beside them: for those at work on its requests, and for
# those in which requests wait for these.
CONSOLE_SLOTS: Final = 2
CONSOLE_WAITING: Final = 2
CONSOLE_THREADS: Final = CONSOLE_SLOTS + CONSOLE_WAITING

# Set by orchestrator_site/serving/worker.py; where no such worker serves, nothing waits.
queued_seconds: ContextVar[float] = ContextVar("queued_seconds", default=0.0)
