"""The browsable API: DRF's page with our own template and links to tasks."""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request

# A task's id in a JSON response that was escaped for HTML.
_TASK_ID: Final = re.compile(r"(&quot;task_id&quot;: &quot;)([0-9a-f-]{36})(&quot;)")


class BrowsableRenderer(BrowsableAPIRenderer):
    """A page with the response and a form; a script sends the form without reloading the page."""

    template = "browsable.html"

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        form = context["raw_data_post_form"]
        return context | {
            "content": _with_links(context["content"]),
            "example": form["_content"].value() if form else "",
            # The views of clients' requests say which scopes a key needs.
            "takes_key": hasattr(renderer_context["view"], "scopes"),
        }

    def show_form_for_method(self, view: Any, method: str, request: Request, obj: Any) -> bool:
        """Show the form of a method to everybody; what is sent from it is checked."""
        return method in view.allowed_methods


def _with_links(content: str) -> SafeString:
    def link(found: re.Match[str]) -> str:
        before, task_id, after = found.groups()
        return f'{before}<a href="{reverse("task", args=[task_id])}">{task_id}</a>{after}'

    # The content is escaped first; the pattern only matches hexadecimal digits and dashes.
    return mark_safe(_TASK_ID.sub(link, escape(content)))  # noqa: S308


class Negotiation(DefaultContentNegotiation):
    """DRF's negotiation, skipped for programs that accept anything or want JSON."""

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

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Name the supported media types in the error; DRF names only the unsupported one."""
        parser = super().select_parser(request, parsers)
        if parser is None:
            known = ", ".join(parser.media_type for parser in parsers)
            raise UnsupportedMediaType(
                request.content_type,
                detail=f"Send the body as {known}, and say so in Content-Type.",
            )
        return parser
