"""Reading what an arm says: JSON, and single values that may be anything."""

import json
import math
from decimal import ROUND_UP, Decimal
from typing import Any, Final, NoReturn, TypeGuard

MAX_DEPTH: Final = 100
# No call uses as many tokens or costs as much; these numbers still fit into any column.
MAX_TOKENS: Final = 1_000_000_000
MAX_COST_USD: Final = 1_000_000
COST_DECIMALS: Final = 8
UNKNOWN_CONFIDENCE: Final = 0.5
_SMALLEST_COST: Final = Decimal(1).scaleb(-COST_DECIMALS)


class Unreadable(Exception):
    """A text is not one JSON document."""


def parsed(text: bytes | str, *, is_strict: bool = False) -> Any:
    """Return the value of a JSON document without duplicate keys.

    Args:
        is_strict: refuse NaN and Infinity, too. An arm that reports its usage as NaN may still
            have a result.

    Raises:
        Unreadable
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refused if is_strict else None,
        )
    # A number may have too many digits for int(), and bytes need not be UTF-8.
    except (ValueError, RecursionError) as error:
        raise Unreadable from error


def is_storable(value: Any) -> bool:
    """Return whether PostgreSQL can store the value as JSON, and others can read it.

    It refuses U+0000, lone surrogates and numbers that are not finite, in keys as well, and values
    nested deeper than `MAX_DEPTH`.
    """
    # Without recursion, which is bounded by less than an answer may have.
    open_values = [(value, 1)]
    while open_values:
        one, depth = open_values.pop()
        if isinstance(one, str):
            if not _is_storable_text(one):
                return False
        elif isinstance(one, float):
            if not math.isfinite(one):
                return False
        elif isinstance(one, dict | list):
            if depth > MAX_DEPTH:
                return False
            parts = [*one, *one.values()] if isinstance(one, dict) else one
            open_values += [(part, depth + 1) for part in parts]
    return True


def tokens(value: object) -> int | None:
    """Return a number of tokens, or None if the value cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Comparisons with NaN are False.
    if not 0 <= value <= MAX_TOKENS or value != int(value):
        return None
    return int(value)


def cost_usd(value: object) -> Decimal | None:
    """Return an amount of dollars, or None if the value cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= MAX_COST_USD:
        return None
    return rounded_up(Decimal(str(value)))


def rounded_up(cost: Decimal) -> Decimal:
    """Return the cost with as many decimals as are stored, so that no cost becomes nothing."""
    return cost.quantize(_SMALLEST_COST, ROUND_UP)


def confidence(value: object) -> float:
    """Return a confidence from 0 to 1."""
    return float(value) if is_confidence(value) else UNKNOWN_CONFIDENCE


def is_confidence(value: object) -> TypeGuard[int | float]:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= 1


def seconds(value: object, most: int = 3_600) -> float:
    """Return a time to wait of at most `most` seconds; 0 if the value cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return float(min(value, most))


def _is_storable_text(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("duplicate key")
    return fields


def _refused(_name: str) -> NoReturn:
    raise ValueError("not a number of JSON")
