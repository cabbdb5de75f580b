"""Django's middleware for sessions, users and messages, for requests to the console only.

The API uses none of them and should not pay for them.
"""

from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

from orchestrator_site.observability.endpoints import CONSOLE


class _OfConsole(MiddlewareMixin):
    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(CONSOLE):
            return super().__call__(request)
        return self.get_response(request)


class SessionMiddleware(_OfConsole, sessions.SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        # Browsers send the console's forms as UTF-8. Django would take any charset that a request
        # names, also those that decode no text, or to text that cannot be stored.
        request.encoding = "utf-8"
        super().process_request(request)


class AuthenticationMiddleware(_OfConsole, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(_OfConsole, messages.MessageMiddleware):
    pass
