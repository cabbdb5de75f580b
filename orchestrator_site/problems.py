"""The error responses. Only this module maps exceptions to HTTP."""

import http.client
import logging
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import Error as DatabaseError
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from rest_framework.response import Response
from rest_framework.views import exception_handler

from orchestrator_site.observability.endpoints import CONSOLE, OTHER, endpoint_at
from safety.exceptions import NoVerdict
from safety.findings import Kind
from tasks.api.operation import BodyRefused
from tasks.clients.exceptions import (
    ClientDisabled,
    ClientHasTokens,
    CredentialsAmbiguous,
    CredentialsRefused,
    IdempotencyKeyReused,
    IdempotencyKeyUnusable,
    IssuerKeysUnavailable,
    LimitReached,
    Refused,
    ScopeMissing,
    TooManyPending,
)
from tasks.exceptions import InvalidTransition, PriorityNotChanged, SubmissionBlocked
from tasks.models import Task

logger = logging.getLogger(__name__)

# SQLSTATEs of a database on which the migrations have not run.
_NOT_MIGRATED = ("42P01", "42703")
DATABASE_RETRY_AFTER_SECONDS: Final = 5
OVERLOADED_RETRY_AFTER_SECONDS: Final = 1

# All types of `octollm_orchestrator_errors_total`. The status gives the type, except for a 503,
# which has several, and for a 403: a refusal by the gate is not an error, since the gate did its
# work.
ERROR_TYPES: Final = (
    "validation",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
    "media_type",
    "rate_limited",
    "safety_unavailable",
    "issuer_unavailable",
    "database_unavailable",
    "overloaded",
    "internal",
)
_TYPES_BY_STATUS: Final = {
    400: "validation",
    401: "unauthenticated",
    404: "not_found",
    405: "validation",
    406: "media_type",
    409: "conflict",
    411: "validation",
    413: "too_large",
    415: "media_type",
    422: "conflict",
    429: "rate_limited",
    500: "internal",
}


@dataclass(frozen=True)
class Problem:
    """An error response."""

    status: int
    detail: str
    error_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _unavailable(detail: str, error_type: str, retry_after_seconds: int) -> Problem:
    return Problem(503, detail, error_type, _retry_after(retry_after_seconds))


# HTTP requires `Allow` with every 405. This request is refused before it is routed, so the
# header lists the methods that at least one of our paths supports.
UNKNOWN_METHOD: Final = Problem(
    405, "This method is not supported.", headers={"Allow": "GET, HEAD, POST, OPTIONS"}
)
LENGTH_REQUIRED: Final = Problem(411, "Send the body with a Content-Length header, not in chunks.")
TOO_LARGE: Final = Problem(
    413, f"The body is too large: at most {settings.MAX_BODY_BYTES} bytes are allowed."
)
OVERLOADED: Final = _unavailable(
    "Too many requests are under way. Try again in a moment.",
    "overloaded",
    OVERLOADED_RETRY_AFTER_SECONDS,
)
_DATABASE_UNAVAILABLE: Final = _unavailable(
    "The database cannot be reached now. Try again later.",
    "database_unavailable",
    DATABASE_RETRY_AFTER_SECONDS,
)
# One text for all causes: callers must not learn which keys exist.
_UNAUTHENTICATED: Final = Problem(
    401,
    "A valid API key or token is needed: send it as Authorization: Bearer <key or token>.",
    headers={"WWW-Authenticate": "Bearer"},
)
_INTERNAL: Final = Problem(
    500, "Internal error. The log names it by the X-Request-ID of this response.", "internal"
)


def problem_of(error: BaseException) -> Problem | None:
    """Log `error` and return the response to it, or return None if the error is unexpected."""
    match error:
        case SubmissionBlocked():
            logger.info(
                "Submission refused",
                extra={"kinds": sorted(error.kinds), "reason": error.reason},
            )
            return Problem(403, f"Safety check failed: {_refusal(error)}", headers=_replayed(error))
        case NoVerdict():
            logger.warning("No verdict on a submission", extra={"reason": error.reason})
            return _unavailable(
                "The safety of the task cannot be checked now. Nothing was stored; try "
                "again later.",
                "safety_unavailable",
                error.retry_after_seconds,
            )
        case Task.DoesNotExist():
            return Problem(404, "Task not found", "not_found")
        case InvalidTransition():
            is_now = f"is {error.current}" if error.current else "has another status by now"
            return Problem(409, f"The task {is_now}: it cannot become {error.wanted}.")
        case PriorityNotChanged():
            return Problem(
                409, f"The task is not pending any more, or has {error.wanted} priority already."
            )
        case BodyRefused():
            problem: Problem = error.problem
            return problem
        case Refused():
            return _refused(error)
        case DatabaseError() if is_unavailable(error):
            logger.warning("Database unavailable", extra={"reason": database_reason(error)})
            return _DATABASE_UNAVAILABLE
    return None


def _refused(error: Refused) -> Problem | None:
    """Return the response to a request that its key or token, its scopes or its limits forbid."""
    match error:
        case CredentialsAmbiguous():
            return Problem(
                400, "Send one API key or token, in one Authorization or X-API-Key header."
            )
        case CredentialsRefused():
            logger.info("Authentication failed", extra={"reason": error.cause})
            return _UNAUTHENTICATED
        case IssuerKeysUnavailable():
            return _unavailable(
                "The token cannot be checked now, because the keys of its issuer are not "
                "available. Try again later.",
                error.cause,
                error.retry_after_seconds,
            )
        case IdempotencyKeyUnusable():
            return Problem(400, error.reason)
        case IdempotencyKeyReused():
            return Problem(422, "This Idempotency-Key came before with another body.")
        case ClientDisabled() | ClientHasTokens():
            return Problem(409, f"No key was made: {error}.")
        case ScopeMissing():
            challenge = f'Bearer error="insufficient_scope", scope="{error.scope.value}"'
            return Problem(
                403,
                f"This key or token lacks the scope {error.scope.value}.",
                "forbidden",
                {"WWW-Authenticate": challenge},
            )
        case TooManyPending():
            detail = f"The client has as many pending tasks as it may have: {error.max_pending}."
            return Problem(429, detail, headers=_retry_after(error.retry_after_seconds))
        case LimitReached():
            return too_many_requests(error)
    return None


def too_many_requests(error: LimitReached) -> Problem:
    wait = f"{error.retry_after_seconds} s"
    return Problem(
        429,
        f"Too many requests. Try again in {wait}.",
        headers=_retry_after(error.retry_after_seconds),
    )


def _replayed(error: SubmissionBlocked) -> dict[str, str]:
    return {"Idempotency-Replayed": "true"} if error.is_replayed else {}


def _refusal(error: SubmissionBlocked) -> str:
    names = [
        name
        for kind, name in ((Kind.PII, "PII"), (Kind.INJECTION, "injection"))
        if kind in error.kinds
    ]
    if not names:
        return error.reason or "blocked by the Reflex Layer"
    return f"{' and '.join(names)} detected in input"


def is_unavailable(error: BaseException) -> bool:
    """Return whether the state of the database caused `error`, and not a fault in our SQL."""
    if isinstance(error, ProgrammingError):
        return getattr(error.__cause__, "sqlstate", None) in _NOT_MIGRATED
    return isinstance(error, OperationalError | InterfaceError | InternalError)


def database_reason(error: BaseException) -> str:
    """Return the first line of a message of the database or libpq.

    Further lines may quote a row.
    """
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def to_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the error response to a request that no view of the API handled.

    The console and browsers get a page, programs get JSON.
    """
    response: HttpResponse
    if request.path_info.startswith(CONSOLE) or "text/html" in request.headers.get("Accept", ""):
        context = {"problem": problem, "reason": http.client.responses[problem.status]}
        response = render(None, "problem.html", context, status=problem.status)
    else:
        response = JsonResponse({"detail": problem.detail}, status=problem.status)
    patch_vary_headers(response, ["Accept"])
    for name, value in problem.headers.items():
        response[name] = value
    response.error_type = problem.error_type  # type: ignore[attr-defined]
    return response


def answer_api_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: our own exceptions first, then those that DRF handles."""
    problem = problem_of(error)
    if problem is None:
        return exception_handler(error, context)
    response = Response({"detail": problem.detail}, status=problem.status, headers=problem.headers)
    response.error_type = problem.error_type  # type: ignore[attr-defined]
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: exceptions outside of the API's views, and unexpected ones."""
    error = sys.exc_info()[1]
    problem = problem_of(error) if error is not None else None
    if problem is None:
        logger.error("Internal error", exc_info=error)
    return to_response(request, problem or _INTERNAL)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    meant = endpoint_at(request.path_info.removesuffix("/"))
    detail = "The API is described at /docs."
    if meant not in (OTHER, CONSOLE, "/"):
        detail = f"Use {meant}, without a slash at the end. {detail}"
    return to_response(request, Problem(404, f"Not found. {detail}"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403: a member of staff lacks the permission."""
    return to_response(request, Problem(403, "Your account may not do this."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF failure view: the form came from another site, or its page is too old."""
    return to_response(request, Problem(403, "This form is out of date. Open its page again."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if isinstance(exception, DisallowedHost):
        detail = "This Host is not served here. To serve it, add it to ORCHESTRATOR_ALLOWED_HOSTS."
    else:
        detail = "The request cannot be understood."
    return to_response(request, Problem(400, detail))


def error_type_of(response: Any) -> str | None:
    """Return the error type of `response`, None if it is not an error."""
    named: str | None = getattr(response, "error_type", None)
    return named or _TYPES_BY_STATUS.get(response.status_code)
