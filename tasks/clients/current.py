"""The client of the current request, for log lines."""

from contextvars import ContextVar

# Its name; empty for anonymous requests, and outside of a request.
current_client: ContextVar[str] = ContextVar("current_client", default="")
