"""The bodies of answers.

Functions make them: a serializer would take a tenth of the time of a whole read. The serializers
describe the answers for the schema, and a test compares every answer with its description.
"""

from typing import Any

from safety.receipts import described
from safety.screening import Screening
from tasks.clients.caller import Caller
from tasks.clients.scopes import Scope
from tasks.listing import ListedEvent
from tasks.models import Task
from tasks.reading import ReadTask


def describe_task(task: Task) -> dict[str, Any]:
    """Return the answer for a task that was just accepted."""
    return {
        "task_id": task.id,
        "goal": task.goal,
        "status": task.status,
        "priority": task.priority,
        "created_at": task.created_at,
        "metadata": task.task_metadata,
    }


def describe_listed_task(task: ReadTask) -> dict[str, Any]:
    """Return one task of a list."""
    return {
        "task_id": task.id,
        "goal": task.goal,
        "status": task.status,
        "priority": task.priority,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "metadata": task.task_metadata,
        "failure": task.failure and {"code": task.failure.code, "detail": task.failure.detail},
        "usage": {
            "tokens": task.usage.tokens,
            "cost_usd": float(task.usage.cost_usd),
            "seconds": round(task.usage.seconds, 3),
            "estimated": task.usage.is_estimated,
        },
        "progress": task.progress
        and {**task.progress._asdict(), "detail": task.progress.detail or None},
    }


def describe_read_task(task: ReadTask) -> dict[str, Any]:
    """Return the answer for a task that was read."""
    return describe_listed_task(task) | {
        "criteria": [criterion._asdict() for criterion in task.criteria],
        "result": task.result and task.result._asdict(),
    }


def describe_event(event: ListedEvent) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "created_at": event.created_at,
        "from": event.before,
        "to": event.after,
        "actor": event.actor.value,
    }


def describe_screening(screening: Screening, policy_version: str) -> dict[str, Any]:
    """Return the answer to a dry run, with one entry for each place of a finding."""
    return {
        "verdict": screening.verdict.value,
        "policy_version": policy_version,
        "redacted_types": screening.redacted_types,
        "findings": [
            {
                **{name: finding[name] for name in ("kind", "type", "severity", "confidence")},
                **{name: place[name] for name in ("field", "start", "end")},
            }
            for finding in described(screening)
            for place in finding["places"] or [{"field": None, "start": None, "end": None}]
        ],
    }


def describe_caller(caller: Caller) -> dict[str, Any]:
    """Return the answer about a key or token."""
    usage = caller.usage
    return {
        "name": caller.name,
        "scopes": [scope.value for scope in Scope if scope in caller.scopes],
        "expires_at": caller.expires_at,
        "rate_limit": usage and usage.limit,
        "rate_limit_remaining": usage and usage.remaining,
        "max_pending_tasks": caller.max_pending,
    }
