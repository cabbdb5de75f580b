"""What gunicorn serves."""

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
    """A request whose query string is UTF-8, whatever charset its body claims.

    Django decodes the query by that charset, with any codec that Python knows, before a
    middleware could turn the failure into an answer: `charset=hex` would be a bare 500.
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

# Needs Django's settings.
from orchestrator_site.documentation import prepare_schema  # noqa: E402

application = Handler()
# Imports all views and builds all routes now, before the workers fork and not during their
# first requests.
reverse("root")
prepare_schema()
