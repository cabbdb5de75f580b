"""A JSON parser that is as strict as the standard."""

import json
import math
from decimal import Decimal
from typing import Any, Final, NoReturn

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

IDEMPOTENCY_KEY: Final = "HTTP_IDEMPOTENCY_KEY"
# To validate and screen a value costs far more than to parse it.
MAX_VALUES: Final = 20_000


class BodyBrokeOff(ParseError):
    default_detail = "The body broke off before its end."


class StrictJSONParser(BaseParser):
    """Parses UTF-8 JSON and refuses everything that other parsers tolerate.

    Duplicate keys, NaN and Infinity, numbers too large for a double, more than `MAX_VALUES` values,
    and nesting that exhausts the parser get a 400 with the reason. The fields refuse text that
    PostgreSQL cannot hold (NUL, lone surrogates), since they know its name.
    """

    media_type = "application/json"
    # The browsable API renders with it the content that this parser reads.
    renderer_class = JSONRenderer

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the JSON value in the body of `stream`, which is a request.

        If the request has an idempotency key, its `raw_body` is kept, to be compared with others.
        """
        body = _read(stream)
        if IDEMPOTENCY_KEY in stream.META:
            stream.raw_body = body
        return parse_json(body)


def check_length(request: Request) -> None:
    """Refuse a request without a body."""
    if not _length_bytes(request):
        raise ParseError("The body is empty: send a JSON object.")


def check_is_empty(request: Request) -> None:
    """Refuse a body that says something: it would have no effect."""
    if _length_bytes(request) and request.data != {}:
        raise ParseError("This request takes no body.")


def _length_bytes(request: Any) -> int:
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _read(request: Any) -> bytes:
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(
            request.content_type, detail="A Content-Encoding is not supported: send plain JSON."
        )
    charset = request.content_params.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise ParseError("The body must be UTF-8, and its charset parameter must say so.")
    try:
        body: bytes = request.read()
    except OSError as error:
        raise BodyBrokeOff from error
    if len(body) < _length_bytes(request):
        raise BodyBrokeOff
    return body


def parse_json(body: bytes) -> Any:
    """Return the JSON value of `body`.

    Raises:
        ParseError: names the fault without quoting the body.
    """
    if _has_more_values(body, MAX_VALUES):
        raise ParseError(f"The JSON holds too many values: at most {MAX_VALUES} are allowed.")
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_number,
        )
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        fault = error.msg.removesuffix(" at")
        raise ParseError(
            f"The body is not JSON: {fault} at line {error.lineno} column {error.colno}."
        ) from error
    except RecursionError as error:
        raise ParseError("The JSON is nested too deeply.") from error
    except ValueError as error:
        # The only other cause is Python's limit on the digits of an integer.
        raise ParseError("The JSON holds a number that is too long.") from error


def _has_more_values(body: bytes, limit: int) -> bool:
    """Return whether `body` holds more than `limit` JSON values; keys do not count.

    It counts without parsing: each comma begins a value, and so does each array or object that is
    not empty. The count is exact if the body is JSON.
    """
    if _marks(body) < limit:
        return False
    # Commas and brackets inside strings do not count, so each string is replaced by a 0.
    around = body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"', 4 * limit + 1)
    if len(around) > 4 * limit:
        return True
    outside = b"0".join(around[::2]).translate(None, b" \t\r\n")
    empty = outside.count(b"[]") + outside.count(b"{}")
    return 1 + _marks(outside) - empty > limit


def _marks(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ParseError("The JSON holds an object with the same key twice.")
    return result


def _refuse_constant(_: str) -> NoReturn:
    raise ParseError("The JSON holds NaN or Infinity, which are no JSON numbers.")


def _number(text: str) -> float:
    """Return the value of a number with a fraction or an exponent, as an integer if it is whole.

    So 4111111111111111.0 is screened, stored and answered in the same form.
    """
    number = float(text)
    if math.isinf(number):
        raise ParseError("The JSON holds a number that is too large.")
    # Converted from the shortest decimal: an integer of the binary value would have other digits.
    return int(Decimal(repr(number))) if number.is_integer() else number
