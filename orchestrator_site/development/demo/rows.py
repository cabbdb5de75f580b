"""Rows of the tables, with the names of their columns; what they leave out has its default."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID


class TaskRow(NamedTuple):
    id: UUID
    goal: str
    status: str
    priority: str
    constraints: list[str]
    context: dict[str, Any]
    acceptance_criteria: list[str]
    task_metadata: dict[str, Any]
    assigned_arm: str | None
    max_cost_usd: Decimal
    max_time_seconds: int
    max_tokens: int
    verdict: str
    has_result: bool
    created_at: datetime
    updated_at: datetime


class ReceiptRow(NamedTuple):
    id: UUID
    subject_id: UUID | None
    verdict: str
    reason: str
    findings: list[dict[str, Any]]
    findings_count: int
    types: list[str]
    policy_version: str
    reflex_request_id: str
    duration_seconds: float
    client_address: str
    request_id: str
    created_at: datetime


class EventRow(NamedTuple):
    task_id: UUID
    kind: str
    actor: str
    actor_kind: str
    reason: str
    data: dict[str, str]
    created_at: datetime


class ResultRow(NamedTuple):
    id: UUID
    task_id: UUID
    result_data: Any
    confidence: float
    created_at: datetime


@dataclass
class Rows:
    """What belongs together: a task with all that is its own, or a refusal."""

    tasks: list[TaskRow] = field(default_factory=list)
    receipts: list[ReceiptRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    results: list[ResultRow] = field(default_factory=list)

    def extend(self, others: Iterable["Rows"]) -> None:
        for other in others:
            self.tasks += other.tasks
            self.receipts += other.receipts
            self.events += other.events
            self.results += other.results
