"""The bundled arm as a WSGI application, without a framework.

An answer depends on its request alone, so a request may be repeated. No text is logged or kept.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tasks.arms.bundled import __version__
from tasks.arms.bundled.executing import carry_out
from tasks.arms.bundled.planning import make_plan
from tasks.arms.bundled.request import (
    Invalid,
    Refused,
    Unable,
    parse_plan_request,
    parse_task,
    parse_validation_request,
    read_body,
)
from tasks.arms.bundled.validating import validate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ARM_ID: Final = "bundled"
# It knows words, not meanings.
CONFIDENCE: Final = 0.6
OK: Final = "200 OK"
LEXICON: Final = "vader"
RULES: Final = "rules"

logger = logging.getLogger(__name__)

View = Callable[[Mapping[str, Any]], dict[str, Any]]


class Application:
    """Answers `/execute`, `/plan`, `/validate`, `/health` and `/capabilities`."""

    def __init__(self) -> None:
        self._routes: dict[str, tuple[tuple[str, ...], View]] = {
            "/execute": (("POST",), execute),
            "/plan": (("POST",), plan),
            "/validate": (("POST",), judge_output),
            "/health": (("GET", "HEAD"), health),
            "/capabilities": (("GET", "HEAD"), capabilities),
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request. Errors of any kind are answered in the protocol's format too."""
        status = OK
        try:
            fields = self.respond(environ)
        except Refused as refused:
            status, fields = refused.status, refused.error
        except Exception as error:
            # The message of the exception may quote the request.
            logger.error("Request failed", extra={"error": type(error).__name__})
            failure = Refused(
                "The arm failed unexpectedly.",
                status="500 Internal Server Error",
                code="INTERNAL_ERROR",
                category="internal",
            )
            status, fields = failure.status, failure.error
        body = json.dumps(fields).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def respond(self, environ: Mapping[str, Any]) -> dict[str, Any]:
        """Route a request by path, then by method."""
        route = self._routes.get(environ.get("PATH_INFO", ""))
        if route is None:
            raise Refused(
                "There is nothing at this path.",
                status="404 Not Found",
                code="NOT_FOUND",
                category="not_found",
            )
        methods, view = route
        if environ["REQUEST_METHOD"] not in methods:
            raise Invalid(f"Use {', '.join(methods)}.", status="405 Method Not Allowed")
        return view(environ)


def execute(environ: Mapping[str, Any]) -> dict[str, Any]:
    task = parse_task(read_body(environ))
    answer = {"task_id": task.task_id, "provenance": provenance(CONFIDENCE, LEXICON)}
    try:
        result = carry_out(task)
    except Unable as unable:
        return answer | {"success": False, "result": None, "error": unable.error}
    return answer | {"success": True, "result": result, "error": None}


def plan(environ: Mapping[str, Any]) -> dict[str, Any]:
    made = make_plan(parse_plan_request(read_body(environ)))
    return made | {"provenance": provenance(made["confidence"], RULES)}


def judge_output(environ: Mapping[str, Any]) -> dict[str, Any]:
    verdict = validate(parse_validation_request(read_body(environ)))
    return verdict | {"provenance": provenance(verdict["confidence"], RULES)}


def health(_environ: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": "healthy", "version": __version__}


def capabilities(_environ: Mapping[str, Any]) -> dict[str, Any]:
    return {"capabilities": ["execute", "plan", "validate"], "version": __version__}


def provenance(confidence: float, model: str) -> dict[str, Any]:
    return {
        "arm_id": ARM_ID,
        "tokens_consumed": 0,
        "estimated_cost_usd": 0,
        "confidence": confidence,
        "model_used": model,
    }
