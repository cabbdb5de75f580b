"""The browsable API in our own words and links, for those who ask for it."""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request


class BrowsableRenderer(BrowsableAPIRenderer):
    template = "browsable.html"


class Negotiation(DefaultContentNegotiation):
    """DRF's own, left out for programs: they take anything, or want JSON."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        is_plain = not request.META.get("QUERY_STRING") and request.META.get(
            "HTTP_ACCEPT", "*/*"
        ) in ("*/*", JSONRenderer.media_type)
        if is_plain and isinstance(renderers[0], JSONRenderer):
            return renderers[0], JSONRenderer.media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, format_suffix
        )
        return chosen
