"""Counts, times and logs every request."""

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from orchestrator_site.endpoints import PROBES, endpoint_of, method_of
from orchestrator_site.exceptions import error_type_of
from orchestrator_site.metrics import API_REQUESTS, ERRORS, REQUEST_SECONDS

logger = logging.getLogger(__name__)


class ObservationMiddleware:
    """Stands outside of everything that can refuse a request, so that it sees the refusals."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        duration_seconds = time.perf_counter() - started
        endpoint, method = endpoint_of(request.path_info), method_of(request.method)
        API_REQUESTS.labels(endpoint, method, response.status_code).inc()
        REQUEST_SECONDS.labels(endpoint).observe(duration_seconds)
        if error_type := error_type_of(response):
            ERRORS.labels(error_type).inc()
        logger.log(
            # Probes come every few seconds and say nothing.
            logging.DEBUG if endpoint in PROBES else logging.INFO,
            "Request answered",
            extra={
                "endpoint": endpoint,
                "method": method,
                "status": response.status_code,
                "duration_seconds": round(duration_seconds, 6),
                "client_address": request.META["origin"].client_address,
            },
        )
        return response
