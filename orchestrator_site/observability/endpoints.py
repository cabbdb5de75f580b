"""The requests of the API by the names that metrics and logs use: a closed list."""

from typing import Final, NamedTuple


class Known(NamedTuple):
    """An endpoint, the name of its view, and the answers that it is known to give."""

    endpoint: str
    view: str
    method: str
    statuses: tuple[int, ...]


# Metrics show these from the first scrape.
KNOWN: Final = (
    Known("/submit", "submit", "POST", (200, 400, 403, 411, 413, 415, 503)),
    Known("/tasks/{task_id}", "task", "GET", (200, 404, 503)),
    Known("/health", "health", "GET", (200,)),
    Known("/ready", "ready", "GET", (200, 503)),
    Known("/metrics", "metrics", "GET", (200,)),
    Known("/", "root", "GET", (200,)),
    Known("/admin/", "admin:index", "GET", (200, 302, 503)),
    Known("/schema", "schema", "GET", (200,)),
    Known("/docs", "docs", "GET", (200,)),
    Known("other", "<unnamed view>", "GET", (200, 304, 404)),
)
CONSOLE: Final = "/admin/"
OTHER: Final = "other"
# They answer whatever hangs and under any Host: probes come by address.
HEALTH: Final = "/health"
PROBES: Final = frozenset({HEALTH, "/ready", "/metrics"})
METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

_PLAIN = frozenset(
    known.endpoint for known in KNOWN if known.endpoint not in ("/tasks/{task_id}", OTHER)
)


def endpoint_of(path: str) -> str:
    """Return the name of the endpoint that `path` belongs to, `other` if to none."""
    if path in _PLAIN:
        return path
    if path.startswith("/tasks/") and path.count("/") == 2 and len(path) > len("/tasks/"):
        return "/tasks/{task_id}"
    if path.startswith(CONSOLE):
        return CONSOLE
    return OTHER


def method_of(method: str | None) -> str:
    """Return the method's name, `other` if it is none of HTTP's."""
    return method if method in METHODS else OTHER
