"""How long the request under way waited for a thread."""

from contextvars import ContextVar

# Set by orchestrator_site/worker.py; where no such worker serves, nothing waits.
queued_seconds: ContextVar[float] = ContextVar("queued_seconds", default=0.0)
