"""Counts, times and logs every request."""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from orchestrator_site.observability.endpoints import PROBES, endpoint_of, method_of
from orchestrator_site.observability.log import REQUEST_ANSWERED
from orchestrator_site.observability.metrics import API_REQUESTS, ERRORS, REQUEST_SECONDS
from orchestrator_site.problems import error_type_of
from safety.origin import origin_of

logger = logging.getLogger(__name__)


class ObservationMiddleware:
    """Wraps every middleware that can refuse a request, so that refusals are observed too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        duration_seconds = time.perf_counter() - started
        endpoint, method = endpoint_of(request), method_of(request.method)
        API_REQUESTS.labels(endpoint, method, response.status_code).inc()
        REQUEST_SECONDS.labels(endpoint).observe(duration_seconds)
        if error_type := error_type_of(response):
            ERRORS.labels(error_type).inc()
        logger.log(
            _level(request.path_info),
            REQUEST_ANSWERED,
            extra={
                "endpoint": endpoint,
                "method": method,
                "status": response.status_code,
                "duration_seconds": round(duration_seconds, 6),
                "client_address": origin_of(request).client_address,
            },
        )
        return response


def _level(path: str) -> int:
    """Return DEBUG for requests that would only fill the log, else INFO.

    Probes come every few seconds. In development, static files are not of interest either.
    """
    is_static = settings.DEVELOPMENT and path.startswith(settings.STATIC_URL)
    return logging.DEBUG if path in PROBES or is_static else logging.INFO
