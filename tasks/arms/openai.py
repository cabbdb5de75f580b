"""The adapter for model servers that speak the chat completions of OpenAI."""

import json
import re
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from safety.outbound.service import Reply
from safety.outbound.transport import Deadline
from tasks.arms import plans, reading, verdicts
from tasks.arms.description import Arm, Capability, Health
from tasks.arms.exceptions import (
    ArmError,
    Failed,
    OutcomeUnknown,
    ParameterRefused,
    TooLittleBudget,
)
from tasks.arms.peer import Peer, error_of
from tasks.arms.work import Answer, Request, Usage, Work

MIN_ANSWER_TOKENS: Final = 16
BYTES_PER_TOKEN: Final = 3
OPTIONAL_PARAMETERS: Final = ("temperature", "max_tokens", "response_format")
_MILLION: Final = Decimal(1_000_000)
_PROMPTS: Final = Path(__file__).parent / "prompts"
_SYSTEM: Final = {one: (_PROMPTS / f"{one}.txt").read_text() for one in Capability}
# The result of `execute` has any form.
_SCHEMAS: Final = {Capability.PLAN: plans.SCHEMA, Capability.VALIDATE: verdicts.SCHEMA}
_UNSUPPORTED_CODES: Final = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
# Otherwise a parameter may be named for its value: "max_tokens is too large".
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not support|unavailable|unknown|unrecogni[sz]ed|unexpected|not permitted"
    r"|not allowed",
    re.IGNORECASE,
)
_FENCED: Final = re.compile(r"^```[\w-]*[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class OpenaiAdapter:
    """Implements `tasks.arms.adapter.Adapter`."""

    def __init__(self, arm: Arm, secret: str = "") -> None:
        self._arm = arm
        self._peer = Peer(arm, secret)
        self._completions = self._peer.endpoint("POST", "/chat/completions")
        self._models = self._peer.endpoint("GET", "/models")

    def request(self, work: Work) -> Request:
        messages = _messages(work)
        fields: dict[str, Any] = {"model": self._arm.model, "messages": messages}
        prompt_bytes = sum(_size(message["content"]) for message in messages)
        response_format = self._response_format(Capability(work.capability))
        if response_format is not None:
            fields["response_format"] = response_format
            # Some servers put the schema into the prompt.
            prompt_bytes += _size(json.dumps(response_format))
        prompt_tokens = prompt_bytes // BYTES_PER_TOKEN
        max_tokens = self._max_tokens(work, prompt_tokens)
        if "max_tokens" in self._arm.refused_parameters:
            fields["max_completion_tokens"] = max_tokens
        else:
            fields["max_tokens"] = max_tokens
        if "temperature" not in self._arm.refused_parameters:
            fields["temperature"] = 0
        body = json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
        return Request(body, prompt_tokens + max_tokens, self._price(prompt_tokens, max_tokens))

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
            self._completions, body, key=key, request_id=request_id, deadline=deadline
        )
        if reply.status != HTTPStatus.OK or reply.body is None:
            raise _refusal(reply, body)
        content, usage = self._completion(reply.body)
        document = _document_or_text(content)
        confidence = reading.UNKNOWN_CONFIDENCE
        match capability:
            case Capability.EXECUTE:
                result = document
            case Capability.PLAN:
                result = plans.plan_in(document)
                if isinstance(document, dict):
                    confidence = reading.confidence(document.get("confidence"))
            case Capability.VALIDATE:
                result = verdicts.verdicts_by_number(document, _criteria_count(body))
        if not reading.is_storable(result):
            raise Failed("result cannot be stored", usage=usage)
        return Answer(result, confidence, usage)

    def check(self, *, deadline: Deadline) -> Health:
        found = self._peer.check(self._models, deadline=deadline)
        if isinstance(found, Health):
            return found
        try:
            reading.parsed(found)
        except reading.Unreadable:
            return Health.DOWN
        return Health.HEALTHY

    def _response_format(self, capability: Capability) -> dict[str, Any] | None:
        schema = _SCHEMAS.get(capability)
        if schema is None or "response_format" in self._arm.refused_parameters:
            return None
        named = {"name": capability.value, "strict": True, "schema": schema}
        return {"type": "json_schema", "json_schema": named}

    def _max_tokens(self, work: Work, prompt_tokens: int) -> int:
        """Return the most tokens that the budget leaves for the answer."""
        left_tokens = work.max_tokens if work.left_tokens is None else work.left_tokens
        left_usd = work.max_cost_usd if work.left_usd is None else work.left_usd
        most = min(self._arm.max_answer_tokens, work.max_tokens, left_tokens - prompt_tokens)
        price = self._arm.usd_per_million_output
        left_usd -= self._price(prompt_tokens, 0)
        if price:
            most = min(most, int(min(left_usd, work.max_cost_usd) * _MILLION / price))
        if left_usd < 0 or most < MIN_ANSWER_TOKENS:
            raise TooLittleBudget
        return most

    def _price(self, prompt_tokens: int, answer_tokens: int) -> Decimal:
        cost = (
            prompt_tokens * self._arm.usd_per_million_input
            + answer_tokens * self._arm.usd_per_million_output
        )
        return reading.rounded_up(cost / _MILLION)

    def _completion(self, body: bytes) -> tuple[str, Usage]:
        """Return what the model wrote, and the usage."""
        try:
            fields = reading.parsed(body)
        except reading.Unreadable as error:
            raise OutcomeUnknown("answer is not JSON") from error
        choice = _first_choice(fields)
        message = choice.get("message") if choice is not None else None
        if choice is None or not isinstance(message, dict):
            raise OutcomeUnknown("answer does not follow the protocol")
        usage = self._usage(fields.get("usage"))
        if choice.get("finish_reason") == "length":
            raise Failed("answer cut off at the token limit", usage=usage)
        if choice.get("finish_reason") == "content_filter":
            raise Failed("answer withheld by a content filter", usage=usage)
        if message.get("refusal"):
            raise Failed("model refused", usage=usage)
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            raise Failed("no result", usage=usage)
        return content, usage

    def _usage(self, usage: object) -> Usage:
        if not isinstance(usage, dict):
            return Usage()
        prompt_tokens = reading.tokens(usage.get("prompt_tokens"))
        answer_tokens = reading.tokens(usage.get("completion_tokens"))
        if prompt_tokens is None or answer_tokens is None:
            return Usage()
        return Usage(prompt_tokens + answer_tokens, self._price(prompt_tokens, answer_tokens))


def _messages(work: Work) -> list[dict[str, str]]:
    """Return the messages; all that clients and arms wrote is data in the user message."""
    capability = Capability(work.capability)
    data = _to_judge(work) if capability is Capability.VALIDATE else _to_do(work)
    user = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return [
        {"role": "system", "content": _SYSTEM[capability]},
        {"role": "user", "content": user},
    ]


def _to_do(work: Work) -> dict[str, Any]:
    return {
        "goal": work.goal,
        "constraints": work.constraints,
        "acceptance_criteria": work.acceptance_criteria,
        "context": work.context,
    }


def _to_judge(work: Work) -> dict[str, Any]:
    return {
        "goal": work.goal,
        "constraints": work.constraints,
        "context": work.context,
        "output": work.output,
        "criteria": [
            {"number": number, "text": text}
            for number, text in enumerate(work.acceptance_criteria, start=1)
        ],
    }


def _criteria_count(request: bytes) -> int:
    """Return how many criteria a request to judge asks for."""
    user = json.loads(request)["messages"][-1]["content"]
    return len(json.loads(user)["criteria"])


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _refusal(reply: Reply, request: bytes) -> ArmError:
    """Return what an answer with a bad status means."""
    if reply.status == HTTPStatus.BAD_REQUEST and reply.body is not None:
        parameter = _refused_parameter(reply.body, json.loads(request))
        if parameter is not None:
            return ParameterRefused(parameter)
    return error_of(reply)


def _refused_parameter(body: bytes, request: dict[str, Any]) -> str | None:
    """Return the optional parameter of the request that an error says is not supported."""
    try:
        fields = reading.parsed(body)
    except reading.Unreadable:
        return None
    error = fields.get("error") if isinstance(fields, dict) else None
    # Some servers send the error itself.
    error = error if isinstance(error, dict) else fields
    if not isinstance(error, dict):
        return None
    message = error.get("message")
    message = message if isinstance(message, str) else ""
    if error.get("code") not in _UNSUPPORTED_CODES and not _UNSUPPORTED.search(message):
        return None
    sent = [name for name in OPTIONAL_PARAMETERS if name in request]
    for name in sent:
        if error.get("param") == name:
            return name
    return next((name for name in sent if re.search(rf"\b{name}\b", message)), None)


def _first_choice(fields: object) -> dict[str, Any] | None:
    choices = fields.get("choices") if isinstance(fields, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None


def _document_or_text(content: str) -> Any:
    """Return the JSON document that the text is, or the one in its only fenced block, or itself."""
    blocks = _FENCED.findall(content)
    for text in (content, *(blocks if len(blocks) == 1 else ())):
        try:
            value = reading.parsed(text, is_strict=True)
        except reading.Unreadable:
            continue
        if isinstance(value, dict | list):
            return value
    return content
