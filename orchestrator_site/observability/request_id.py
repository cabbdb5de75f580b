"""The request id, which connects a response with our log lines and the Reflex Layer's log."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from orchestrator_site.serving.client_address import client_address
from safety.origin import Origin
from tasks.clients.current import current_client

# A request id is not screened, and digits alone could be a card number. So it needs a letter.
_VALID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]{1,64}")

# Empty outside of a request.
current_request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestIdMiddleware:
    """Takes the client's `X-Request-ID` if it is well formed, else makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _VALID.fullmatch(given) else uuid.uuid4().hex
        request.origin = Origin(request_id, client_address(request))  # type: ignore[attr-defined]
        token = current_request_id.set(request_id)
        # The authentication sets it.
        client_token = current_client.set("")
        try:
            response = self.get_response(request)
        finally:
            current_request_id.reset(token)
            current_client.reset(client_token)
        response["X-Request-ID"] = request_id
        return response
