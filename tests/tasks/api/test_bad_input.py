"""Invalid bodies of `POST /submit`, against the running service."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import requests

from tests.service import Service

KNOWN = (
    "Unknown field. Known are goal, constraints, context, acceptance_criteria, priority, budget."
)
KNOWN_BUDGET = "Unknown field. Known are max_cost_usd, max_time_seconds, max_tokens."
NUL = ["NUL characters are not allowed."]
SURROGATE = ["Lone surrogates are not allowed: the text is no valid Unicode."]
TWICE = {"detail": "The JSON holds an object with the same key twice."}
NO_NUMBER = {"detail": "The JSON holds NaN or Infinity, which are no JSON numbers."}
TOO_LARGE_NUMBER = {"detail": "The JSON holds a number that is too large."}
TOO_LONG_NUMBER = {"detail": "The JSON holds a number that is too long."}
TOO_DEEP_FOR_JSON = {"detail": "The JSON is nested too deeply."}
TOO_DEEP = {"context": ["Nested too deeply: at most 20 levels are allowed."]}
NOT_UTF8 = {"detail": "The body is not UTF-8."}
NO_STRING = ["Not a valid string."]
NULL = ["This field may not be null."]
BLANK = ["This field may not be blank."]
REQUIRED = {"goal": ["This field is required."]}
PRIORITIES = {"priority": ["Must be one of low, medium, high, critical."]}
WHOLE = ["A valid integer is required."]
NUMBER = ["A valid number is required."]
NEGATIVE = ["Ensure this value is greater than or equal to 0."]
MAX_INTEGER = ["Ensure this value is less than or equal to 2147483647."]


@pytest.fixture(scope="module", autouse=True)
def _service_survives(service: Service) -> Iterator[None]:
    """After all tests here, the service works and its log is JSON without unexpected errors."""
    seen = len(service.log_lines())
    yield
    assert service.get("/health").json() == {"status": "healthy"}
    messages = {line["message"] for line in service.log_lines()[seen:]}
    # The service and gunicorn log these messages for unexpected exceptions.
    assert messages & {"Internal error", "Error handling request"} == set()
    assert "Request answered" in messages


@pytest.fixture
def count(service_database: "psycopg.Connection[Any]") -> Iterator[Any]:
    def count() -> int:
        [number] = service_database.execute("SELECT count(*) FROM tasks").fetchone() or [0]
        return int(number)

    return count


def refused(response: requests.Response) -> Any:
    """Check that the answer is a 400 with the usual headers, and return its body."""
    assert response.status_code == 400, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
    return response.json()


def nested(depth: int, kind: str = "{}") -> Any:
    """Return a context of `depth` levels, including the outermost object."""
    value: Any = "bottom"
    for _ in range(depth - 1):
        value = {"k": value} if kind == "{}" else [value]
    return {"k": value}


BROKEN = {
    "empty": (b"", {"detail": "The body is empty: send a JSON object."}),
    "blank": (b"  ", {"detail": "The body is not JSON: Expecting value at line 1 column 3."}),
    "text": (b"goal=x", {"detail": "The body is not JSON: Expecting value at line 1 column 1."}),
    "cut": (
        b'{"goal": "x',
        {"detail": "The body is not JSON: Unterminated string starting at line 1 column 10."},
    ),
    "two-values": (
        b'{"goal":"x"}{"goal":"y"}',
        {"detail": "The body is not JSON: Extra data at line 1 column 13."},
    ),
    "single-quotes": (
        b"{'goal': 'x'}",
        {
            "detail": "The body is not JSON: Expecting property name enclosed in double quotes "
            "at line 1 column 2."
        },
    ),
    "raw-line-break-in-a-string": (
        b'{"goal": "a\nb"}',
        {"detail": "The body is not JSON: Invalid control character at line 1 column 12."},
    ),
    "raw-nul": (b"\0", {"detail": "The body is not JSON: Expecting value at line 1 column 1."}),
    "list": (b"[]", {"non_field_errors": ["Must be a JSON object."]}),
    "string": (
        b'"goal"',
        {"non_field_errors": ["Must be a JSON object."]},
    ),
    "number": (b"1", {"non_field_errors": ["Must be a JSON object."]}),
    "null": (b"null", {"non_field_errors": ["Must be a JSON object."]}),
    "no-goal": (b"{}", REQUIRED),
    "latin-1": (b'{"goal": "\xe9"}', NOT_UTF8),
    "overlong-utf-8": (b'{"goal": "\xc0\xaf"}', NOT_UTF8),
    # A surrogate encoded in three bytes, which UTF-8 forbids.
    "cesu-8": (b'{"goal": "\xed\xa0\x80"}', NOT_UTF8),
    "utf-16": ('{"goal": "x"}'.encode("utf-16"), NOT_UTF8),
    "byte-order-mark": (
        b'\xef\xbb\xbf{"goal": "x"}',
        {
            "detail": "The body is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig) "
            "at line 1 column 1."
        },
    ),
    "same-key-twice": (b'{"goal": "x", "goal": "y"}', TWICE),
    "same-key-escaped": (b'{"goal": "x", "g\\u006fal": "y"}', TWICE),
    "same-key-in-budget": (b'{"goal": "x", "budget": {"max_tokens":1,"max_tokens":2}}', TWICE),
    "same-key-deep": (b'{"goal": "x", "context": {"a": [{"b": {"c":1,"c":1}}]}}', TWICE),
    "nan": (b'{"goal": "x", "budget": {"max_cost_usd": NaN}}', NO_NUMBER),
    "infinity": (b'{"goal": "x", "budget": {"max_cost_usd": Infinity}}', NO_NUMBER),
    "minus-infinity": (b'{"goal": "x", "context": {"a": [[-Infinity]]}}', NO_NUMBER),
    "1e400": (b'{"goal": "x", "budget": {"max_cost_usd": 1e400}}', TOO_LARGE_NUMBER),
    "1e400-deep": (b'{"goal": "x", "context": {"a": [{"b": -1e400}]}}', TOO_LARGE_NUMBER),
    "too-many-digits": (b'{"goal": "x", "context": {"a": %b}}' % (b"9" * 5000), TOO_LONG_NUMBER),
    "10,000-lists": (b"[" * 10_000, TOO_DEEP_FOR_JSON),
    "10,000-levels-of-context": (
        b'{"goal": "x", "context": {"a": %b%b}}' % (b"[" * 10_000, b"]" * 10_000),
        TOO_DEEP_FOR_JSON,
    ),
    "surrogate-as-a-field": (b'{"goal": "x", "\\ud800": 1}', {"?": [KNOWN]}),
    "nul-as-a-field": (b'{"goal": "x", "\\u0000": 1}', {"?": [KNOWN]}),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=BROKEN)
def test_broken_body_is_refused(body: bytes, expected: Any, service: Service, count: Any) -> None:
    before = count()
    assert refused(service.submit(body)) == expected
    assert count() == before


INVALID: dict[str, tuple[dict[str, Any], Any]] = {
    **{f"goal-{value!r}": ({"goal": value}, {"goal": NO_STRING}) for value in (1, 1.5, [], {})},
    "goal-true": ({"goal": True}, {"goal": NO_STRING}),
    "goal-null": ({"goal": None}, {"goal": NULL}),
    "goal-empty": ({"goal": ""}, {"goal": BLANK}),
    # The last character is the ideographic space.
    "goal-blank": ({"goal": " \t\n\u3000"}, {"goal": BLANK}),
    "goal-nul": ({"goal": "a\0b"}, {"goal": NUL}),
    "goal-surrogate": ({"goal": "a\ud800b"}, {"goal": SURROGATE}),
    # The halves of a surrogate pair in the wrong order.
    "goal-swapped-pair": ({"goal": "\ude00\ud83d"}, {"goal": SURROGATE}),
    **{
        f"{field}-{type(value).__name__}": (
            {field: value},
            {field: [f'Expected a list of items but got type "{type(value).__name__}".']},
        )
        for field in ("constraints", "acceptance_criteria")
        for value in ("text", 1, True, {"0": "x"})
    },
    **{
        f"{field}-{name}": ({field: value}, {field: expected})
        for field in ("constraints", "acceptance_criteria")
        for name, value, expected in (
            ("null", None, NULL),
            ("item-number", ["x", 1], {"1": NO_STRING}),
            ("item-true", [True], {"0": NO_STRING}),
            ("item-null", [None], {"0": NULL}),
            ("item-list", [["x"]], {"0": NO_STRING}),
            ("item-blank", ["x", " "], {"1": BLANK}),
            ("item-nul", ["\0"], {"0": NUL}),
            ("item-surrogate", ["\udfff"], {"0": SURROGATE}),
        )
    },
    **{
        f"context-{type(value).__name__}": (
            {"context": value},
            {"context": ["Must be a JSON object."]},
        )
        for value in ("text", 1, True, ["x"])
    },
    "context-null": ({"context": None}, {"context": NULL}),
    "context-key-nul": ({"context": {"a": {"\0": 1}}}, {"context": NUL}),
    "context-value-nul": ({"context": {"a": ["x", "\0"]}}, {"context": NUL}),
    "context-key-surrogate": ({"context": {"\ud800": 1}}, {"context": SURROGATE}),
    "context-value-surrogate": ({"context": {"a": [["\ud800"]]}}, {"context": SURROGATE}),
    "context-21-objects": ({"context": nested(21)}, TOO_DEEP),
    "context-21-lists": ({"context": nested(21, "[]")}, TOO_DEEP),
    "context-500-levels": ({"context": nested(500)}, TOO_DEEP),
    **{
        f"priority-{value!r}": ({"priority": value}, PRIORITIES)
        for value in ("urgent", "HIGH", "", "high ", 1, True, [], {}, ["high"], "\0", "\ud800")
    },
    "priority-null": ({"priority": None}, {"priority": NULL}),
    **{
        f"budget-{type(value).__name__}": (
            {"budget": value},
            {"budget": {"non_field_errors": ["Must be a JSON object."]}},
        )
        for value in (1, True, "text", [])
    },
    **{
        f"{field}-{value!r}": ({"budget": {field: value}}, {"budget": {field: expected}})
        for field in ("max_time_seconds", "max_tokens")
        for value, expected in (
            ("300", WHOLE),
            (True, WHOLE),
            (None, NULL),
            ([], WHOLE),
            ({}, WHOLE),
            (0.5, WHOLE),
            (-1, NEGATIVE),
            (-(10**30), NEGATIVE),
            (2**31, MAX_INTEGER),
            (10**30, MAX_INTEGER),
            (1e308, MAX_INTEGER),
        )
    },
    "max_tokens-4300-digits": (
        {"budget": {"max_tokens": int("9" * 4300)}},
        {"budget": {"max_tokens": MAX_INTEGER}},
    ),
    **{
        f"max_cost_usd-{value!r}": ({"budget": {"max_cost_usd": value}}, {"budget": expected})
        for value, expected in (
            ("0.5", {"max_cost_usd": NUMBER}),
            (True, {"max_cost_usd": NUMBER}),
            (None, {"max_cost_usd": NULL}),
            ([], {"max_cost_usd": NUMBER}),
            (-0.5, {"max_cost_usd": NEGATIVE}),
            (
                0.00001,
                {"max_cost_usd": ["Ensure that there are no more than 4 decimal places."]},
            ),
            (
                100_000_000,
                {
                    "max_cost_usd": [
                        "Ensure that there are no more than 8 digits before the decimal point."
                    ]
                },
            ),
            (1e308, {"max_cost_usd": ["Ensure that there are no more than 12 digits in total."]}),
            (5e-324, {"max_cost_usd": ["Ensure that there are no more than 12 digits in total."]}),
        )
    },
    "unknown-field": ({"priorty": "high"}, {"priorty": [KNOWN]}),
    # Field names are case-sensitive, and clients cannot set internal fields.
    "unknown-case": ({"Goal": "x"}, {"Goal": [KNOWN]}),
    "unknown-column": ({"status": "completed"}, {"status": [KNOWN]}),
    "unknown-internal": (
        {"__class__": {}, "task_id": 1},
        {"__class__": [KNOWN], "task_id": [KNOWN]},
    ),
    "unknown-in-budget": ({"budget": {"max_token": 1}}, {"budget": {"max_token": [KNOWN_BUDGET]}}),
    "unknown-and-invalid": (
        {"priorty": "high", "constraints": "x"},
        {
            "priorty": [KNOWN],
            "constraints": ['Expected a list of items but got type "str".'],
        },
    ),
    "several-fields": (
        {"goal": 1, "priority": "x", "budget": {"max_tokens": -1}},
        {"goal": NO_STRING, **PRIORITIES, "budget": {"max_tokens": NEGATIVE}},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), INVALID.values(), ids=INVALID)
def test_error_names_the_invalid_field(
    fields: dict[str, Any], expected: Any, service: Service, count: Any
) -> None:
    before = count()
    assert refused(service.submit(**fields)) == expected
    assert count() == before


@pytest.mark.parametrize("where", ["body", "budget"])
def test_error_names_only_the_first_ten_unknown_fields(where: str, service: Service) -> None:
    many = {f"k{number:06}": 1 for number in range(10_000)}
    errors = refused(service.submit(**(many if where == "body" else {"budget": many})))
    named = errors if where == "body" else errors["budget"]
    assert list(named) == sorted(many)[:10]


def test_long_name_of_an_unknown_field_is_shortened(service: Service) -> None:
    assert refused(service.submit(**{"k" * 100_000: 1})) == {"k" * 100: [KNOWN]}
