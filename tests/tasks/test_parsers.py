"""What the strict reader of JSON makes of single values; whole bodies are in
test_bad_input.py."""

from typing import Any

import pytest
from rest_framework.exceptions import ParseError

from tasks.parsers import parse_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, false, null, "x"]}', {"a": [1, 2.5, True, False, None, "x"]}),
        (b" \t\r\n1 ", 1),
        # The same key in different objects is no double.
        (b'[{"a": 1}, {"a": {"a": 2}}]', [{"a": 1}, {"a": {"a": 2}}]),
        (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
        ('"\u00e9 \U0001f419"'.encode(), "é 🐙"),
        # A pair of surrogates is one character.
        (b'"\\ud83d\\udc19"', "🐙"),
        # Fields refuse these two by name.
        (b'"\\ud83d"', "\ud83d"),
        (b'"\\u0000"', "\0"),
        (b"2.5e-3", 0.0025),
        # A whole number is one, however it is written.
        (b"300.0", 300),
        (b"-0.0", 0),
        (b"4.111111111111111e15", 4111111111111111),
        (b"6212345678901015000.0", 6212345678901015000),
        (b"1e308", 10**308),
        (b"5e-324", 5e-324),
        # Too small for a double, which is no harm: it is nought.
        (b"1e-400", 0),
        (b"9" * 4300, 10**4300 - 1),
        # Words of JavaScript are text where they are quoted.
        (b'["NaN", "Infinity"]', ["NaN", "Infinity"]),
    ],
    ids=range(18),
)
def test_json_is_read(body: bytes, value: Any) -> None:
    read = parse_json(body)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "body",
    [b"", b"nan", b"+1", b"01", b"1.", b".5", b"0x10", b"1_000", b"[1,]", b'{"a":1,}', b"//\n1"],
)
def test_what_is_nearly_json_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError, match=r"^The body is not JSON: "):
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"hunter2": 1, "hunter2": 2}',
        b'{"goal": "hunter2',
        b'"hunter2" x',
        b'"hunter2 \xff"',
        b'["hunter2", NaN]',
        b'["hunter2", 1e999]',
        b'["hunter2", %b]' % (b"9" * 5000),
    ],
    ids=range(7),
)
def test_refusal_does_not_quote_the_body(body: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_json(body)
    assert "hunter2" not in str(caught.value.detail)
    assert "9" not in str(caught.value.detail)
