"""The Content-Security-Policy: our pages load files of this service, and run no inline code."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

POLICY_HEADER: Final = "Content-Security-Policy"


class ContentSecurityMiddleware:
    """Sends `SECURE_CSP` with every HTML page. The setting has the format of Django 6.

    A view that needs another policy sets the header itself.
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
