"""Submissions at each limit and just above it, against the running service."""

import json
from typing import Any

import pytest

from tests.conftest import StartService
from tests.service import Service

MAX_TEXT_BYTES = 100_000
MAX_BODY_BYTES = 1_048_576


def nested(depth: int) -> Any:
    """Return a context of `depth` nested objects, including the outermost one."""
    value: Any = "bottom"
    for _ in range(depth):
        value = {"k": value}
    return value


def lists(depth: int) -> Any:
    """Return a context of `depth` levels: the outermost is an object, the others are lists."""
    return {"k": json.loads("[" * (depth - 1) + "]" * (depth - 1))}


# An input at the limit, which is accepted, and one just above it, which is refused.
LIMITS = {
    "goal": ({"goal": "x" * 10_000}, {"goal": "x" * 10_001}),
    # The limit counts characters, not bytes.
    "goal-emoji": ({"goal": "🐙" * 10_000}, {"goal": "🐙" * 10_001}),
    "constraints": ({"constraints": ["x"] * 100}, {"constraints": ["x"] * 101}),
    "constraint": ({"constraints": ["x" * 2_000]}, {"constraints": ["x" * 2_001]}),
    "criteria": ({"acceptance_criteria": ["x"] * 100}, {"acceptance_criteria": ["x"] * 101}),
    "criterion": (
        {"acceptance_criteria": ["x" * 2_000]},
        {"acceptance_criteria": ["x" * 2_001]},
    ),
    "depth": ({"context": nested(20)}, {"context": nested(21)}),
    "depth-of-lists": ({"context": lists(20)}, {"context": lists(21)}),
    "cost": (
        {"budget": {"max_cost_usd": 99_999_999.9999}},
        {"budget": {"max_cost_usd": 100_000_000}},
    ),
    "decimals": ({"budget": {"max_cost_usd": 0.0001}}, {"budget": {"max_cost_usd": 0.00011}}),
    "integer": (
        {"budget": {"max_tokens": 2_147_483_647}},
        {"budget": {"max_tokens": 2_147_483_648}},
    ),
    "digits": (
        {"context": {"n": int("1" * 4300)}},
        # Raw bytes, because Python refuses to write so many digits.
        b'{"goal": "x", "context": {"n": %b}}' % (b"1" * 4301),
    ),
}


@pytest.mark.parametrize(("at_limit", "above_limit"), LIMITS.values(), ids=LIMITS)
def test_input_at_the_limit_is_accepted_and_above_it_refused(
    at_limit: Any, above_limit: Any, unscreened: Service
) -> None:
    assert unscreened.submit(**at_limit).status_code == 200
    is_raw = isinstance(above_limit, bytes)
    refused = unscreened.submit(above_limit) if is_raw else unscreened.submit(**above_limit)
    assert refused.status_code == 400


def texts(size_bytes: int, character: str) -> dict[str, Any]:
    """Return fields whose screened texts have `size_bytes` bytes together."""
    # Screening adds a line break to the goal and to each list item.
    items = [character * 1_000] * ((size_bytes - 2) // (1_000 * len(character.encode()) + 1))
    used = sum(len(item.encode()) + 1 for item in items)
    return {"goal": "x" * (size_bytes - used - 1), "constraints": items}


@pytest.mark.parametrize("character", ["x", "é", "€", "🐙"])
def test_all_texts_together_have_a_limit_in_bytes(character: str, unscreened: Service) -> None:
    fields = texts(MAX_TEXT_BYTES, character)
    assert unscreened.submit(**fields).status_code == 200
    response = unscreened.submit(**fields | {"goal": fields["goal"] + "x"})
    assert (response.status_code, response.json()) == (
        400,
        {
            "non_field_errors": [
                "All texts together, the keys and numbers of context included, may have at most "
                "100000 bytes of UTF-8."
            ]
        },
    )


@pytest.mark.parametrize(
    "context",
    [
        {"k" * 100_000: None},
        {"k": "x" * 100_000},
        {"k": [1_000_000] * 15_000},
        {"k": ["x" * 10] * 15_000},
        {f"{number:010}": {} for number in range(15_000)},
        # A float counts with all its digits, however short its notation in the body.
        {"k": [1e300] * 400},
    ],
    ids=["key", "value", "numbers", "strings", "keys", "long-floats"],
)
def test_every_part_of_the_context_counts_towards_the_limit(
    context: Any, unscreened: Service
) -> None:
    response = unscreened.submit(context=context)
    assert response.status_code == 400
    assert list(response.json()) == ["non_field_errors"]


def test_body_has_a_limit_in_bytes(unscreened: Service) -> None:
    body = json.dumps({"goal": "x"}).encode()
    assert unscreened.submit(body.ljust(MAX_BODY_BYTES)).status_code == 200
    response = unscreened.submit(body.ljust(MAX_BODY_BYTES + 1))
    assert (response.status_code, response.json()) == (
        413,
        {"detail": "The body is too large: at most 1048576 bytes are allowed."},
    )


def test_limit_of_the_body_can_be_configured(start_service: Any) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, MAX_BODY_BYTES=20, WORKERS=1)
    assert service.submit(b'{"goal": "12345678"}').status_code == 200
    assert service.submit(b'{"goal": "123456789"}').status_code == 413


def test_long_keys_above_many_items_take_little_memory(
    start_service: StartService,
) -> None:
    service = start_service(ENABLE_REFLEX_INTEGRATION=False, WORKERS=1)
    assert service.submit().status_code == 200
    worker = service.workers[0]
    before = worker.memory_info().rss
    body = {"goal": "a", "context": {"k" * 60_000: [""] * 19_000}}
    assert service.submit(body).status_code == 200
    # Too long for one call to the Reflex Layer. Writing a path for each item would take gigabytes.
    body = {"goal": "a", "context": {"k" * 90_000: ["x"] * 19_000}}
    assert service.submit(body).status_code == 400
    assert worker.memory_info().rss - before < 120 * 2**20
