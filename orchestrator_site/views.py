"""The endpoints about the service itself: `/`, `/health`, `/ready`, `/metrics`."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator_site import VERSION
from orchestrator_site.observability.metrics import metrics_page
from orchestrator_site.readiness import readiness

ROOT = {"service": "OctoLLM Orchestrator", "version": VERSION, "status": "operational"}
HEALTH = {"status": "healthy"}


def _strings(name: str, *fields: str) -> Any:
    return inline_serializer(name, {field: serializers.CharField() for field in fields})


READINESS = _strings("Readiness", "status", "database", "reflex_layer")


class RootView(APIView):
    # Title and text of the page for browsers.
    name = "OctoLLM Orchestrator"
    description = "Submit a task at /submit, read about the API at /docs, or open the console."

    @extend_schema(
        operation_id="root",
        summary="Service and version",
        tags=["service"],
        responses=_strings("Service", *ROOT),
        examples=[OpenApiExample("The service", value=ROOT)],
    )
    def get(self, request: Request) -> Response:
        """The name of the service, and its version."""
        return Response(ROOT)


class OneFormat:
    """Ignores `Accept`: the view answers in its own format, and its errors are JSON."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return super().perform_content_negotiation(request, force=True)  # type: ignore[misc]

    def handle_exception(self, error: Exception) -> Response:
        response: Response = super().handle_exception(error)  # type: ignore[misc]
        self.request.accepted_renderer = JSONRenderer()  # type: ignore[attr-defined]
        self.request.accepted_media_type = JSONRenderer.media_type  # type: ignore[attr-defined]
        return response


class ProbeView(OneFormat, APIView):
    """Probes send unusual `Accept` headers."""

    renderer_classes = (JSONRenderer,)


class HealthView(ProbeView):
    @extend_schema(
        operation_id="health",
        summary="Liveness of the process",
        tags=["service"],
        responses=_strings("Health", *HEALTH),
        examples=[OpenApiExample("Alive", value=HEALTH)],
    )
    def get(self, request: Request) -> Response:
        """Answers as long as the process lives. It checks no dependency."""
        return Response(HEALTH)


class ReadyView(ProbeView):
    @extend_schema(
        operation_id="ready",
        summary="Readiness of the service",
        tags=["service"],
        responses={200: READINESS, 503: READINESS},
        examples=[
            OpenApiExample(
                "Ready",
                value={"status": "ready", "database": "connected", "reflex_layer": "available"},
                status_codes=[200],
            ),
            OpenApiExample(
                "Not ready",
                value={
                    "status": "not_ready",
                    "database": "disconnected",
                    "reflex_layer": "unavailable",
                },
                status_codes=[503],
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Checks the database and the Reflex Layer at each request."""
        is_ready, states = readiness()
        body = {"status": "ready" if is_ready else "not_ready", **states}
        return Response(body, status=200 if is_ready else 503)


class MetricsView(ProbeView):
    @extend_schema(
        operation_id="metrics",
        summary="Metrics for Prometheus",
        tags=["service"],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """The counts are summed over all worker processes."""
        return HttpResponse(metrics_page(), content_type=CONTENT_TYPE_LATEST)
