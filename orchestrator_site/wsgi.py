"""The WSGI application."""

import os
import warnings
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import reverse
from django.utils.http import parse_header_parameters

from orchestrator_site.observability.log import log_warning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")


class Request(WSGIRequest):
    """A request whose query string is always decoded as UTF-8.

    Django would decode it with the charset of the Content-Type header, which may be any codec of
    Python. `charset=hex` would then fail before any middleware runs, with a bare 500.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            parsed = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            parsed = "", {}
        self.content_type, self.content_params = parsed


class Handler(WSGIHandler):
    request_class = Request


django.setup(set_prefix=False)
warnings.showwarning = log_warning

# This import needs Django's settings.
from orchestrator_site.documentation import prepare_schema  # noqa: E402

application = Handler()
# Import all views and build all routes before the workers fork, not during their first requests.
reverse("root")
prepare_schema()
