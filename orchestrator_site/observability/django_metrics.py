"""django-prometheus' middleware with a cache of its series.

Each lookup of a series by its labels checks the labels and takes a lock. The nine lookups of a
request cost as much as the rest of this middleware.
"""

import functools
from typing import Any

from django.http import HttpRequest
from django_prometheus import middleware


@functools.cache
def _series(metric: Any, **labels: str) -> Any:
    return metric.labels(**labels)


class PrometheusAfterMiddleware(middleware.PrometheusAfterMiddleware):  # type: ignore[misc]
    def label_metric(
        self, metric: Any, request: HttpRequest, response: Any = None, **labels: str
    ) -> Any:
        return _series(metric, **labels) if labels else metric
