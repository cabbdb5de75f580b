"""The base of all requests about tasks: who sends them, what they may do, what they may hold."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from safety.origin import Origin, origin_of
from tasks.api.query import check_parameters
from tasks.clients.authentication import authenticator
from tasks.clients.caller import Caller
from tasks.clients.exceptions import CredentialsAmbiguous
from tasks.clients.scopes import Scope
from tasks.models import Task

AUTHORIZATION: Final = "HTTP_AUTHORIZATION"
API_KEY: Final = "HTTP_X_API_KEY"


class BodyRefused(Exception):
    """The body is too large, or of unknown length.

    Attributes:
        problem: the answer, as the middleware prepared it.
    """

    def __init__(self, problem: Any) -> None:
        super().__init__("body refused")
        self.problem = problem


class Operation(APIView):
    """Checks in this order: the key or token, the limit, the scope, the parameters, the body.

    Answers hold texts of clients, which no cache may store. That includes errors.

    Attributes:
        scopes: what the key or token needs for each method; a method that is not named needs none.
        parameters: the known parameters in the URL.
        checks_body_size: tells the middleware to leave that check to this class.
        caller: who sends the request.
    """

    scopes: ClassVar[Mapping[str, Scope]] = {}
    parameters: ClassVar[Set[str]] = frozenset()
    checks_body_size = True
    caller: Caller

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Cache-Control": "no-store"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.META.get("QUERY_STRING"):
            check_parameters(request.query_params, self.parameters)
        if (problem := getattr(request._request, "refused_body", None)) is not None:
            raise BodyRefused(problem)

    def perform_authentication(self, request: Request) -> None:
        origin = origin_of(request)
        self.caller = authenticator().authenticate(
            presented_credential(request.META), address=origin.client_address
        )
        if not self.caller.is_anonymous:
            # On Django's request, where the middleware reads it.
            django_request: Any = request._request
            django_request.origin = Origin(
                origin.request_id, origin.client_address, self.caller.client_id
            )

    def check_permissions(self, request: Request) -> None:
        if scope := self.scopes.get("GET" if request.method == "HEAD" else request.method or ""):
            self.caller.require(scope)

    def check_reader(self, owner_id: UUID | None) -> None:
        """Let everybody read an anonymous task, and a client its own tasks.

        Args:
            owner_id: the task's client; None for an anonymous task.

        Raises:
            Task.DoesNotExist: it is another client's, or anonymous access is switched off.
            ScopeMissing: it is the caller's, whose key or token does not allow reading.
        """
        if owner_id is None:
            if not authenticator().is_anonymous_allowed:
                raise Task.DoesNotExist
        elif owner_id != self.caller.client_id:
            raise Task.DoesNotExist
        else:
            self.caller.require(Scope.READ)


def presented_credential(meta: Mapping[str, Any]) -> str | None:
    """Return the key or token that a request shows in its headers.

    It is None without these headers, and empty if `Authorization` has another scheme than Bearer.

    Servers join headers of the same name by commas, which no key and no token contains.

    Raises:
        CredentialsAmbiguous: there are two.
    """
    presented = set()
    if (authorization := meta.get(AUTHORIZATION)) is not None:
        scheme, _, credential = authorization.strip().partition(" ")
        if "," in authorization:
            raise CredentialsAmbiguous
        presented.add(credential.strip() if scheme.lower() == "bearer" else "")
    if (keys := meta.get(API_KEY)) is not None:
        presented |= {key.strip() for key in keys.split(",")}
    if len(presented) > 1:
        raise CredentialsAmbiguous
    return presented.pop() if presented else None


def parsed_id(task_id: str) -> UUID:
    try:
        return UUID(task_id)
    except ValueError as error:
        raise NotFound("Task not found") from error
