"""The metrics page: our metrics, those of django-prometheus, and counts from the database.

Each worker process writes its counts to its own files in `PROMETHEUS_MULTIPROC_DIR`, which
gunicorn_conf.py sets. The process that answers a scrape sums up all files.
"""

import logging
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection
from django_prometheus.db import connections_total, execute_total, query_duration_seconds
from django_prometheus.middleware import Metrics as DjangoMetrics
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from orchestrator_site.observability.metrics_files import MetricsFile
from orchestrator_site.observability.shared_metrics import SharedMetrics
from orchestrator_site.problems import ERROR_TYPES

logger = logging.getLogger(__name__)

API_REQUESTS = Counter(
    "octollm_orchestrator_api_requests_total",
    "API requests by endpoint",
    ["endpoint", "method", "status"],
)
REQUEST_SECONDS = Histogram(
    "octollm_orchestrator_request_duration_seconds",
    "Time of a request in the service, by endpoint",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ERRORS = Counter("octollm_orchestrator_errors_total", "Errors by type", ["type"])


class Known(NamedTuple):
    """An endpoint, its view's name, its method, and the statuses of its usual responses."""

    endpoint: str
    view: str
    method: str
    statuses: tuple[int, ...]


# Series that exist from the first scrape on. Endpoints that are missing here are still counted.
KNOWN: Final = (
    Known("/submit", "submit", "POST", (200, 400, 401, 403, 411, 413, 415, 422, 429, 503)),
    Known("/submit?dry_run=true", "submit", "POST", (200, 400, 401, 403, 429, 503)),
    Known("/tasks", "tasks", "GET", (200, 400, 401, 403, 429, 503)),
    Known("/tasks/{task_id}", "task", "GET", (200, 401, 403, 404, 429, 503)),
    Known("/tasks/{task_id}/cancel", "cancel", "POST", (200, 401, 403, 404, 409, 429, 503)),
    Known("/tasks/{task_id}/events", "events", "GET", (200, 400, 401, 403, 404, 429, 503)),
    Known("/client", "client", "GET", (200, 401, 429, 503)),
    Known("/health", "health", "GET", (200,)),
    Known("/ready", "ready", "GET", (200, 503)),
    Known("/metrics", "metrics", "GET", (200,)),
    Known("/", "root", "GET", (200,)),
    Known("/admin/", "admin:index", "GET", (200, 302, 503)),
    Known("/schema", "schema", "GET", (200,)),
    Known("/docs", "docs", "GET", (200,)),
    Known("other", "<unnamed view>", "GET", (200, 304, 404)),
)


class Completeness(Collector):
    """Tells whether the page has all counts of the process that answers."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "octollm_orchestrator_metrics_complete",
            "1 if the process that answers can write its counts to the metrics folder",
            value=MetricsFile.are_complete(),
        )


def metrics_page() -> bytes:
    """Return all metrics as Prometheus text, without the counts if their folder is unusable."""
    beside_counts = CollectorRegistry()
    beside_counts.register(Completeness())
    beside_counts.register(SharedMetrics())
    return _counts() + generate_latest(beside_counts)


def _counts() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        logger.warning("Metrics folder not read", extra={"reason": str(error)})
        return b""


def show_known_series() -> None:
    """Create the known series, so that they are 0 at the first scrape.

    `rate()` misses the first event of a series that appears with that event.
    """
    for error_type in ERROR_TYPES:
        ERRORS.labels(error_type)
    for endpoint, view, method, statuses in KNOWN:
        REQUEST_SECONDS.labels(endpoint)
        for status in statuses:
            API_REQUESTS.labels(endpoint, method, status)
            _show_django_series(view, method, str(status))


def _show_django_series(view: str, method: str, status: str) -> None:
    of_django = DjangoMetrics.get_instance()
    of_django.requests_by_method.labels(method)
    of_django.requests_latency_by_view_method.labels(view, method)
    of_django.responses_by_charset.labels("utf-8")
    of_django.responses_by_status.labels(status)
    # django-prometheus' label of a response without a template, as all of the API are.
    of_django.responses_by_templatename.labels("None")
    of_django.responses_by_status_view_method.labels(status, view, method)
    for transport in ("http", "https"):
        of_django.requests_by_transport.labels(transport)
        of_django.requests_by_view_transport_method.labels(view, transport, method)
    for of_database in (connections_total, execute_total, query_duration_seconds):
        of_database.labels(DEFAULT_DB_ALIAS, connection.vendor)


show_known_series()
