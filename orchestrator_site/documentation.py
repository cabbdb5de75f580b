"""The API's documentation: the OpenAPI document, and Swagger UI, which reads it."""

import functools
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator_site.serving.content_security import POLICY_HEADER, policy_of
from orchestrator_site.views import OneFormat

# Swagger UI's style sheet embeds its images as `data:` URLs.
DOCS_POLICY: Final = policy_of(settings.SECURE_CSP | {"img-src": ["'self'", "data:"]})
PLAIN_TEXT: Final = "text/plain; charset=utf-8"


class BrowserRenderer(OpenApiYamlRenderer):
    """YAML that is sent to browsers as plain text; they would download a YAML media type."""

    media_type = "text/html"
    format = "txt"


class SchemaView(OneFormat, APIView):
    renderer_classes = (
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
        BrowserRenderer,
    )

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer: Any = type(request.accepted_renderer)
        content_type = PLAIN_TEXT if renderer is BrowserRenderer else renderer.media_type
        return HttpResponse(_rendered(renderer), content_type=content_type)


def prepare_schema() -> None:
    """Generate the OpenAPI document in all its formats.

    The generator keeps state in classes, so two threads must not run it at the same time.
    """
    for renderer in SchemaView.renderer_classes:
        _rendered(renderer)


@functools.cache
def _rendered(renderer: type[BaseRenderer]) -> str | bytes:
    return renderer().render(_document(), renderer.media_type, {})


@functools.cache
def _document() -> dict[str, Any]:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    document: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    return document


class DocsView(OneFormat, SpectacularSwaggerSplitView):
    """Swagger UI, and the script that starts it."""

    template_name = "docs.html"

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().finalize_response(*args, **kwargs)
        response.headers[POLICY_HEADER] = DOCS_POLICY
        return response
