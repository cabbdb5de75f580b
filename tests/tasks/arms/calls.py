"""Work for arms, and calls of real adapters."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from safety.outbound.transport import Deadline
from tasks.arms.adapter import Adapter
from tasks.arms.description import Arm, Capability, Protocol
from tasks.arms.exceptions import ArmError
from tasks.arms.work import Answer, Work
from tests.arms import ScriptedArm

SUBJECT = UUID("11111111-1111-4111-8111-111111111111")
KEY = UUID("22222222-2222-4222-8222-222222222222")
CREATED_AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DEADLINE_SECONDS = 5


def work(**fields: Any) -> Work:
    values: dict[str, Any] = {
        "subject_id": SUBJECT,
        "key": KEY,
        "capability": Capability.EXECUTE,
        "goal": "Analyze sentiment of user reviews",
        "constraints": ["No PII in output"],
        "context": {"reviews": ["Größte Freude"]},
        "acceptance_criteria": ["Sentiment score between -1 and 1"],
        "priority": "high",
        "max_tokens": 2_000,
        "max_time_seconds": 300,
        "max_cost_usd": Decimal("0.5"),
        "created_at": CREATED_AT,
        "deadline_at": CREATED_AT + timedelta(minutes=5),
        "timeout_seconds": 60,
    }
    return Work(**values | fields)


def octollm(scripted: ScriptedArm, **fields: Any) -> Arm:
    return Arm(name="words", protocol=Protocol.OCTOLLM, url=scripted.url, **fields)


def openai(scripted: ScriptedArm, **fields: Any) -> Arm:
    values = {"model": "small", "is_idempotent": True} | fields
    return Arm(name="model", protocol=Protocol.OPENAI, url=scripted.model_url, **values)


def call(
    adapter: Adapter,
    *,
    body: bytes | None = None,
    seconds: float = DEADLINE_SECONDS,
    deadline: Deadline | None = None,
    request_id: str = "",
    capability: Capability = Capability.EXECUTE,
) -> Answer:
    return adapter.call(
        body or adapter.request(work(capability=capability)).body,
        capability=capability,
        key=KEY,
        subject_id=SUBJECT,
        request_id=request_id,
        deadline=deadline or Deadline(seconds),
    )


def failure(adapter: Adapter, **options: Any) -> ArmError:
    with pytest.raises(ArmError) as caught:
        call(adapter, **options)
    return caught.value


def sent(body: bytes) -> Any:
    return json.loads(body)


def verdicts_of(answer: Answer) -> str:
    """Return the verdicts of a judge as letters: Met, Not met, Undecided."""
    letters = {"met": "M", "not_met": "N", "undecided": "U"}
    verdicts = answer.result["verdicts"]
    assert [one["criterion"] for one in verdicts] == [*range(1, len(verdicts) + 1)]
    return "".join(letters[one["verdict"]] for one in verdicts)


def evidence_of(answer: Answer) -> list[str]:
    return [one["evidence"] for one in answer.result["verdicts"]]
