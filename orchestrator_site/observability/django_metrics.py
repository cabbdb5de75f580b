"""django-prometheus' middleware, which finds each of its series once.

prometheus_client checks the labels and takes a lock each time that it is asked for one, which
for the nine of a request is as much as all else that this middleware does.
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
