"""The adapter for arms that speak `octollm`, the protocol of our own."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from safety.outbound.service import Reply
from safety.outbound.transport import Deadline
from tasks.arms import reading
from tasks.arms.description import (
    MAX_TIMEOUT_SECONDS,
    MIN_TIMEOUT_SECONDS,
    Arm,
    Capability,
    Health,
)
from tasks.arms.exceptions import ArmError, Failed, OutcomeUnknown, Refused, TooLittleBudget
from tasks.arms.peer import LATER, Peer, error_of
from tasks.arms.plans import plan_in
from tasks.arms.verdicts import verdicts_by_text
from tasks.arms.work import Answer, Request, Usage, Work

CATEGORIES: Final = frozenset(
    "validation authentication authorization not_found rate_limit timeout internal external".split()
)
_HEALTHS: Final = {
    "healthy": Health.HEALTHY,
    # Many services say it this way.
    "ok": Health.HEALTHY,
    "degraded": Health.DEGRADED,
}


class OctollmAdapter:
    """Implements `tasks.arms.adapter.Adapter`."""

    def __init__(self, arm: Arm, secret: str = "") -> None:
        self._arm = arm
        self._peer = Peer(arm, secret)
        self._endpoints = {one: self._peer.endpoint("POST", f"/{one}") for one in Capability}
        self._health = self._peer.endpoint("GET", "/health")

    def request(self, work: Work) -> Request:
        if work.max_tokens < 1:
            raise TooLittleBudget
        match Capability(work.capability):
            case Capability.EXECUTE:
                fields = self._to_execute(work)
            case Capability.PLAN:
                fields = _to_plan(work)
            case Capability.VALIDATE:
                fields = _to_validate(work)
        body = json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
        return Request(body, work.max_tokens, work.max_cost_usd)

    def call(
        self,
        body: bytes,
        *,
        capability: Capability,
        key: UUID,
        subject_id: UUID,
        request_id: str = "",
        deadline: Deadline,
    ) -> Answer:
        reply = self._peer.send(
            self._endpoints[capability], body, key=key, request_id=request_id, deadline=deadline
        )
        if reply.status != HTTPStatus.OK or reply.body is None:
            raise _refusal(reply)
        match capability:
            case Capability.EXECUTE:
                return _executed(reply.body, _task_id(subject_id))
            case Capability.PLAN:
                return _planned(reply.body)
            case Capability.VALIDATE:
                return _validated(reply.body, json.loads(body)["acceptance_criteria"])

    def check(self, *, deadline: Deadline) -> Health:
        found = self._peer.check(self._health, deadline=deadline)
        if isinstance(found, Health):
            return found
        try:
            fields = reading.parsed(found)
        except reading.Unreadable:
            return Health.DOWN
        status = fields.get("status") if isinstance(fields, dict) else None
        return _HEALTHS.get(status, Health.DOWN) if isinstance(status, str) else Health.DOWN

    def _to_execute(self, work: Work) -> dict[str, Any]:
        timeout = max(MIN_TIMEOUT_SECONDS, min(round(work.timeout_seconds), MAX_TIMEOUT_SECONDS))
        return {
            "task_contract": {
                "task_id": _task_id(work.subject_id),
                "goal": work.goal,
                "constraints": work.constraints,
                "context": work.context,
                "acceptance_criteria": work.acceptance_criteria,
                "budget": {
                    "max_tokens": work.max_tokens,
                    "max_time_seconds": work.max_time_seconds,
                    "max_cost_usd": float(work.max_cost_usd),
                },
                "priority": work.priority,
                "assigned_arm": self._arm.name,
                "created_at": _time(work.created_at),
                "deadline": _time(work.deadline_at),
                "required_capabilities": [work.capability],
                "api_version": "v1",
                "schema_version": "1.0.0",
            },
            "capability_token": "",
            "request_id": str(work.key),
            "timeout_seconds": timeout,
        }


# Requests


def _to_plan(work: Work) -> dict[str, Any]:
    return {
        "goal": work.goal,
        "constraints": work.constraints,
        "context": work.context,
        "request_id": str(work.key),
    }


def _to_validate(work: Work) -> dict[str, Any]:
    return {
        "output": work.output,
        "validation_types": ["criteria"],
        "acceptance_criteria": work.acceptance_criteria,
        "context": work.context,
        "request_id": str(work.key),
    }


def _task_id(subject_id: UUID) -> str:
    return f"task-{subject_id}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Answers


def _refusal(reply: Reply) -> ArmError:
    """Return what an answer with a bad status means; an error of the protocol counts first."""
    by_status = error_of(reply)
    error = _error_in(reply)
    if error is None:
        return by_status
    if isinstance(by_status, Refused) and reply.status in LATER:
        # The header and the error may both say when.
        wait = max(_retry_after(error), by_status.retry_after_seconds)
    else:
        wait = _retry_after(error)
    is_refusal = reply.status in range(400, 500) or reply.status in LATER
    kind = Refused if is_refusal else Failed
    return kind(_detail(error), is_retryable=_is_retryable(error), retry_after_seconds=wait)


def _error_in(reply: Reply) -> dict[str, Any] | None:
    """Return the error of the protocol that is the body of an answer, if there is one."""
    if reply.status not in range(400, 600) or not reply.body:
        return None
    try:
        fields = reading.parsed(reply.body)
    except reading.Unreadable:
        return None
    return fields if _is_error(fields) else None


def _executed(body: bytes, task_id: str) -> Answer:
    fields = _fields(body)
    if not isinstance(fields.get("success"), bool):
        raise OutcomeUnknown("answer does not follow the protocol")
    provenance = _provenance(fields)
    usage = _usage(provenance)
    if fields.get("task_id") != task_id:
        raise Failed("answer is about another task", usage=usage)
    if not fields["success"]:
        raise _failure(fields.get("error"), usage)
    result = fields.get("result")
    if result is None:
        raise Failed("no result", usage=usage)
    if not reading.is_storable(result):
        raise Failed("result cannot be stored", usage=usage)
    return Answer(result, reading.confidence(provenance.get("confidence")), usage)


def _planned(body: bytes) -> Answer:
    fields = _fields(body)
    usage = _usage_of_success(fields)
    plan = plan_in(fields)
    if not reading.is_storable(plan):
        raise Failed("result cannot be stored", usage=usage)
    return Answer(plan, reading.confidence(fields.get("confidence")), usage)


def _validated(body: bytes, criteria: list[str]) -> Answer:
    fields = _fields(body)
    usage = _usage_of_success(fields)
    verdicts = verdicts_by_text(fields, criteria)
    return Answer(verdicts, reading.confidence(fields.get("confidence")), usage)


def _usage_of_success(fields: dict[str, Any]) -> Usage:
    """Return the usage of a plan or of verdicts.

    Raises:
        Failed: the answer says that there are none.
    """
    usage = _usage(_provenance(fields))
    if fields.get("success") is False:
        raise _failure(fields.get("error"), usage)
    return usage


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = reading.parsed(body)
    except reading.Unreadable as error:
        raise OutcomeUnknown("answer is not JSON") from error
    if not isinstance(fields, dict):
        raise OutcomeUnknown("answer does not follow the protocol")
    return fields


def _provenance(fields: dict[str, Any]) -> dict[str, Any]:
    provenance = fields.get("provenance")
    return provenance if isinstance(provenance, dict) else {}


def _usage(provenance: dict[str, Any]) -> Usage:
    return Usage(
        tokens=reading.tokens(provenance.get("tokens_consumed")),
        cost_usd=reading.cost_usd(provenance.get("estimated_cost_usd")),
    )


def _failure(error: object, usage: Usage) -> Failed:
    if not isinstance(error, dict) or not _is_error(error):
        return Failed("failed without an error of the protocol", usage=usage)
    return Failed(
        _detail(error),
        is_retryable=_is_retryable(error),
        retry_after_seconds=_retry_after(error),
        usage=usage,
    )


def _is_error(fields: object) -> bool:
    if not isinstance(fields, dict) or not isinstance(fields.get("error_code"), str):
        return False
    category = fields.get("category")
    return isinstance(category, str) and category in CATEGORIES


def _detail(error: dict[str, Any]) -> str:
    # The category is one of a closed list; the code and the message are the arm's own text.
    return f"{error['category']} error"


def _is_retryable(error: dict[str, Any]) -> bool:
    return error.get("retryable") is True


def _retry_after(error: dict[str, Any]) -> float:
    return reading.seconds(error.get("retry_after_seconds"))
