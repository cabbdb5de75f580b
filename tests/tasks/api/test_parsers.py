"""The strict JSON parser with single values; test_bad_input.py tests whole bodies."""

import contextlib
import sys
import time
from typing import Any

import pytest
from rest_framework.exceptions import ParseError, ValidationError

from tasks.api.parsers import MAX_VALUES, parse_json
from tasks.api.serializers import parse_submission

MEGABYTE = 1_048_576
# An ordinary machine needs half of this time.
MAX_SECONDS = 0.2


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, false, null, "x"]}', {"a": [1, 2.5, True, False, None, "x"]}),
        (b" \t\r\n1 ", 1),
        # Different objects may have the same key.
        (b'[{"a": 1}, {"a": {"a": 2}}]', [{"a": 1}, {"a": {"a": 2}}]),
        (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
        ('"\u00e9 \U0001f419"'.encode(), "é 🐙"),
        # A pair of surrogates is one character.
        (b'"\\ud83d\\udc19"', "🐙"),
        # The parser accepts the next two; the fields refuse them.
        (b'"\\ud83d"', "\ud83d"),
        (b'"\\u0000"', "\0"),
        (b"2.5e-3", 0.0025),
        # Whole numbers become int in any notation.
        (b"300.0", 300),
        (b"-0.0", 0),
        (b"4.111111111111111e15", 4111111111111111),
        (b"6212345678901015000.0", 6212345678901015000),
        (b"1e308", 10**308),
        (b"5e-324", 5e-324),
        # Too small for a double, so it becomes zero.
        (b"1e-400", 0),
        (b"9" * 4300, 10**4300 - 1),
        # In quotes, these words are ordinary strings.
        (b'["NaN", "Infinity"]', ["NaN", "Infinity"]),
    ],
    ids=range(18),
)
def test_json_is_parsed(body: bytes, value: Any) -> None:
    read = parse_json(body)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "body",
    [b"", b"nan", b"+1", b"01", b"1.", b".5", b"0x10", b"1_000", b"[1,]", b'{"a":1,}', b"//\n1"],
)
def test_almost_valid_json_is_refused(body: bytes) -> None:
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


# Each of these list items counts as exactly one value.
FILLERS = {
    "numbers": b"1",
    "empty lists": b"[]",
    "empty objects with blanks": b" {\n\t} ",
    "strings with commas and brackets": b'"a,[{,"',
    "escaped quotes": rb'"\",[\","',
    "escaped backslashes": rb'"\\"',
    "backslashes before a quote": rb'"\\\",[{"',
    "characters of other scripts": '"é,🐙"'.encode(),
}


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
def test_values_are_counted_exactly(filler: bytes) -> None:
    # The list itself counts as one value.
    most = b"[%b]" % b",".join([filler] * (MAX_VALUES - 1))
    assert len(parse_json(most)) == MAX_VALUES - 1
    with pytest.raises(ParseError, match="too many values: at most 20000 are allowed"):
        parse_json(most[:-1] + b",0]")


def test_members_of_an_object_are_counted_and_their_keys_are_not() -> None:
    members = [b'"%d,":"{"' % number for number in range(MAX_VALUES)]
    assert len(parse_json(b"{%b}" % b",".join(members[:-1]))) == MAX_VALUES - 1
    with pytest.raises(ParseError, match="too many values"):
        parse_json(b"{%b}" % b",".join(members))


def list_of(item: bytes) -> bytes:
    count = (MEGABYTE - 40) // (len(item) + 1)
    return b'{"goal":"x","context":{"a":[%b]}}' % b",".join([item] * count)


def members_of(*items: bytes) -> bytes:
    return b'{"goal":"x","context":{%b}}' % b",".join(items)


COSTLY = {
    "empty lists": list_of(b"[]"),
    "empty objects": list_of(b"{}"),
    "objects": list_of(b'{"a":[]}'),
    "nested lists": list_of(b"[" * 18 + b"]" * 18),
    "numbers": list_of(b"1"),
    "fractions": list_of(b"1.5"),
    "exponents": list_of(b"1e5"),
    "long integers": list_of(b"9" * 4300),
    "long fractions": list_of(b"9007199254740993." + b"0" * 200 + b"1"),
    "empty strings": list_of(b'""'),
    "strings full of commas": list_of(b'",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"'),
    "keys": members_of(*(b'"%d":1' % number for number in range(100_000))),
    "as many keys as allowed": members_of(*(b'"%d":1' % number for number in range(19_990))),
    "the same key": members_of(*[b'"a":1'] * 170_000),
    "escapes": b'{"goal":"%b"}' % (rb"\u0041" * 174_000),
    "escaped quotes": b'{"goal":"%b"}' % (rb"\"" * 524_000),
    "brackets": b"[" * MEGABYTE,
    "quotes": b'"' * MEGABYTE,
    "a long number": members_of(b'"a":' + b"9" * 1_000_000),
}


@pytest.mark.parametrize("body", COSTLY.values(), ids=COSTLY)
@pytest.mark.alone
def test_any_megabyte_takes_little_cpu_time(body: bytes) -> None:
    def seconds() -> float:
        started = time.thread_time()
        with contextlib.suppress(ParseError, ValidationError):
            parse_submission(parse_json(body))
        return time.thread_time() - started

    # Coverage measurement traces every line, which takes time.
    allowed_seconds = MAX_SECONDS * (3 if sys.gettrace() else 1)
    assert min(seconds() for _ in range(5)) < allowed_seconds
