"""The threads of a process, and how long the current request waited for one."""

from contextvars import ContextVar
from typing import Final

# This many of `THREADS` are reserved for probes and for refusing requests.
SPARE_THREADS: Final = 2
# The console has extra threads: one for each of its slots, and one for each request that may wait
# for a slot.
CONSOLE_SLOTS: Final = 2
CONSOLE_WAITING: Final = 2
CONSOLE_THREADS: Final = CONSOLE_SLOTS + CONSOLE_WAITING

# Set by orchestrator_site/serving/worker.py. Under other servers, it stays 0.
queued_seconds: ContextVar[float] = ContextVar("queued_seconds", default=0.0)
