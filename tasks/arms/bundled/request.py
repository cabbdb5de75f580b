"""Read the requests to the arm, or refuse them with an error of the protocol."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_BODY_BYTES: Final = 4_194_304
MAX_CRITERIA: Final = 200
# The orchestrator stores no value with more levels.
MAX_LEVELS: Final = 100
STEP_DIGITS: Final = 6


class Refused(Exception):
    """The request is refused with an error of the protocol.

    Attributes:
        status: of the HTTP answer.
        category: one of the protocol's.
    """

    def __init__(self, message: str, *, status: str, code: str, category: str) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.category = category

    @property
    def error(self) -> dict[str, Any]:
        return {
            "error_code": self.code,
            "category": self.category,
            "message": self.message,
            "retryable": False,
            "retry_after_seconds": None,
            "details": {},
        }


class Invalid(Refused):
    """The request does not follow the protocol."""

    def __init__(self, message: str, *, status: str = "400 Bad Request") -> None:
        super().__init__(message, status=status, code="INVALID_REQUEST", category="validation")


class Unable(Refused):
    """The request follows the protocol, but this arm cannot do the work.

    An answer of `/execute` carries the error; other paths answer with the status.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            message, status="422 Unprocessable Content", code="NOT_SUPPORTED", category="validation"
        )


@dataclass(frozen=True)
class Repair:
    """A result that did not meet these criteria."""

    result: Any
    failed: list[str]


@dataclass(frozen=True)
class Task:
    """The parts of a task that this arm uses.

    Attributes:
        goal: that of a step, if the task has a plan.
        results: of the steps that the task depends on, by step number.
        repair: an earlier result of the same work, if that has to be repaired.
    """

    task_id: str
    goal: str
    context: dict[str, Any] = field(default_factory=dict)
    acceptance_criteria: list[str] = field(default_factory=list)
    results: dict[int, Any] = field(default_factory=dict)
    repair: Repair | None = None


@dataclass(frozen=True)
class PlanRequest:
    """A goal to plan for.

    Attributes:
        done: the actions of an earlier plan that have been carried out, by step number.
    """

    goal: str
    request_id: str = ""
    done: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationRequest:
    """A result, any JSON value, and the criteria to judge it by."""

    output: Any
    acceptance_criteria: list[str]


def read_body(environ: Mapping[str, Any]) -> bytes:
    """Read as many bytes as Content-Length says; refuse too many without reading them."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if not (announced.isascii() and announced.isdigit() and len(announced) < 10):
        raise Invalid("Send a Content-Length header.", status="411 Length Required")
    length = int(announced)
    if length > MAX_BODY_BYTES:
        raise Invalid(
            f"The body must not exceed {MAX_BODY_BYTES} bytes.", status="413 Content Too Large"
        )
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise Invalid("The body is shorter than its Content-Length.")
    return body


def parse_task(body: bytes) -> Task:
    """Parse the body of a request to `/execute`.

    Raises:
        Invalid
    """
    fields = _json(body)
    contract = fields.get("task_contract") if isinstance(fields, dict) else None
    if not isinstance(contract, dict):
        raise Invalid("task_contract must be an object.")
    task_id, goal = contract.get("task_id"), contract.get("goal")
    if not isinstance(task_id, str) or not isinstance(goal, str):
        raise Invalid("task_contract.task_id and task_contract.goal must be strings.")
    context = _context(contract, "task_contract.context")
    criteria = _criteria(contract, "task_contract.acceptance_criteria")
    results = _by_step(context.get("results"))
    return Task(task_id, goal, context, criteria, results, _repair(context.get("repair")))


def parse_plan_request(body: bytes) -> PlanRequest:
    """Parse the body of a request to `/plan`.

    Raises:
        Invalid
    """
    fields = _object(body)
    goal, request_id = fields.get("goal"), fields.get("request_id")
    if not isinstance(goal, str) or not goal.strip():
        raise Invalid("goal must be a string that is not blank.")
    planning = _context(fields, "context").get("planning")
    steps = _by_step(planning.get("done")) if isinstance(planning, dict) else {}
    done = {number: step["action"] for number, step in steps.items() if _has_text(step, "action")}
    return PlanRequest(goal, request_id if isinstance(request_id, str) else "", done)


def parse_validation_request(body: bytes) -> ValidationRequest:
    """Parse the body of a request to `/validate`.

    Raises:
        Invalid
        Unable: another kind of validation is asked for.
    """
    fields = _object(body)
    if "output" not in fields:
        raise Invalid("output is missing.")
    if is_deep(fields["output"]):
        raise Invalid(f"output must not have more than {MAX_LEVELS} levels.")
    kinds = fields.get("validation_types", ["criteria"])
    if not isinstance(kinds, list):
        raise Invalid("validation_types must be a list.")
    if "criteria" not in kinds:
        raise Unable('This arm validates by criteria only: validation_types has no "criteria".')
    return ValidationRequest(fields["output"], _criteria(fields, "acceptance_criteria"))


def is_deep(value: Any) -> bool:
    """Return whether a JSON value has more levels than can be stored."""
    level = [value]
    for _ in range(MAX_LEVELS + 1):
        level = [whole for whole in level if isinstance(whole, dict | list)]
        if not level:
            return False
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
    return True


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("The body must be valid JSON.") from None


def _object(body: bytes) -> dict[str, Any]:
    fields = _json(body)
    if not isinstance(fields, dict):
        raise Invalid("The body must be an object.")
    return fields


def _context(fields: dict[str, Any], name: str) -> dict[str, Any]:
    context = fields.get("context")
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise Invalid(f"{name} must be an object.")
    return context


def _criteria(fields: dict[str, Any], name: str) -> list[str]:
    criteria = fields.get("acceptance_criteria")
    if criteria is None:
        return []
    if not isinstance(criteria, list) or not all(isinstance(text, str) for text in criteria):
        raise Invalid(f"{name} must be a list of strings.")
    if len(criteria) > MAX_CRITERIA:
        raise Invalid(f"{name} must not have more than {MAX_CRITERIA} entries.")
    return criteria


# A client may use the names of the orchestrator in its own context. What does not have the form of
# the orchestrator is therefore ignored.


def _by_step(values: Any) -> dict[int, Any]:
    """Return those values of an object that have a step number as their name, in its order."""
    if not isinstance(values, dict):
        return {}
    numbered = {
        int(name): value
        for name, value in values.items()
        if name.isascii() and name.isdigit() and len(name) <= STEP_DIGITS
    }
    return dict(sorted(numbered.items()))


def _repair(fields: Any) -> Repair | None:
    if not isinstance(fields, dict) or not {"result", "failed"} <= fields.keys():
        return None
    result, failed = fields["result"], fields["failed"]
    if not isinstance(failed, list) or len(failed) > MAX_CRITERIA or is_deep(result):
        return None
    criteria = [entry["criterion"] for entry in failed if _has_text(entry, "criterion")]
    return Repair(result, criteria) if len(criteria) == len(failed) else None


def _has_text(fields: Any, name: str) -> bool:
    return isinstance(fields, dict) and isinstance(fields.get(name), str)
