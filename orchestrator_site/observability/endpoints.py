"""The names of endpoints and methods in metrics and logs."""

import functools
import re
from typing import Final

from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve
from django.views.generic import RedirectView

CONSOLE: Final = "/admin/"
OTHER: Final = "other"
# These answer under any Host, because probes use IP addresses, and even if everything else hangs.
HEALTH: Final = "/health"
PROBES: Final = frozenset({HEALTH, "/ready", "/metrics"})
METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

# `<str:task_id>` in a route.
_CONVERTER: Final = re.compile(r"<(?:\w+:)?(\w+)>")


def endpoint_of(request: HttpRequest) -> str:
    """Return the route that serves `request`, `other` if none does."""
    if request.resolver_match is None:
        # It was refused before Django resolved its path.
        return endpoint_at(request.path_info)
    # A view whose parameter makes it another endpoint adds the parameter.
    return _endpoint(request.resolver_match) + getattr(request, "endpoint_detail", "")


def endpoint_at(path: str) -> str:
    """Return the route to which `path` belongs, `other` if to none."""
    try:
        return _endpoint(resolve(path))
    except Resolver404:
        return OTHER


def method_of(method: str | None) -> str:
    """Return the method's name, `other` if HTTP does not define it."""
    return method if method in METHODS else OTHER


def _endpoint(match: ResolverMatch) -> str:
    if getattr(match.func, "view_class", None) is RedirectView:
        return OTHER
    return _name(match.route)


@functools.cache
def _name(route: str) -> str:
    path = "/" + _CONVERTER.sub(r"{\1}", route)
    # The whole console counts as one endpoint.
    return CONSOLE if path.startswith(CONSOLE) else path
