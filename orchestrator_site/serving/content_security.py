"""What a browser may load on our pages: files of this service, and nothing written into a page."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

POLICY_HEADER: Final = "Content-Security-Policy"


class ContentSecurityMiddleware:
    """Sends `SECURE_CSP`, which is as Django 6 has it, with every page.

    A view that needs more sets the header itself. Other answers load nothing, and need not pay.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.policy = policy_of(settings.SECURE_CSP)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault(POLICY_HEADER, self.policy)
        return response


def policy_of(directives: dict[str, list[str]]) -> str:
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())
