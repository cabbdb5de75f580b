"""The Reflex Layer's JSON, as it is on the wire.

Its source and its documents differ; both shapes are read. What is in neither is no
verdict: a lenient reader would take a rate limit for a clean text. The matched text
of a finding is the secret itself and is dropped here.
"""

import json
import math
import re
from typing import Any, Final

from safety.document import MAX_TEXT_BYTES
from safety.findings import (
    CUSTOM_TYPE,
    INJECTION_TYPES,
    PII_TYPES,
    Answer,
    Kind,
    Match,
    Severity,
)
from safety.outbound.exceptions import AnswerTooLong, RateLimited, ServerFault, UnusableAnswer

# More than a text can hold; an answer of empty objects could have a hundred times as many.
MAX_MATCHES: Final = 10_000
# Its limiter counts minutes and hours; it names no time with a 200.
RATE_LIMIT_RETRY_AFTER_SECONDS: Final = 60

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
# An absent or unknown severity may be the worst one.
_UNKNOWN_SEVERITY = Severity.CRITICAL


def request_body(text: str) -> bytes:
    """Return the body of `POST /process` for `text`."""
    return json.dumps(
        {
            "text": text,
            "user_id": None,
            # The public Reflex Layer's cache does not tell these two apart: anything but both
            # would poison it for others.
            "check_pii": True,
            "check_injection": True,
            # Nor different cases of a letter: a secret would pass after its harmless twin.
            "use_cache": False,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def parse_answer(body: bytes, text: str) -> Answer:
    """Read the body of a 200 to the screening of `text`.

    Raises:
        RateLimited, ServerFault: it says so itself.
        AnswerTooLong: it names more than `MAX_MATCHES` of one kind.
        UnusableAnswer: it comes from a cache, or is not in the protocol.
    """
    try:
        data = json.loads(body, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("answer is not JSON") from error
    if not isinstance(data, dict):
        raise UnusableAnswer("answer is not an object")
    blocked = _is_blocked(data.get("status"))
    if data.get("cache_hit", False) is not False:
        # The cache may have answered for a similar text.
        raise UnusableAnswer("answer comes from a cache")
    encoded = text.encode()
    matches = (
        *_matches(data, Kind.PII, PII_TYPES, encoded),
        *_matches(data, Kind.INJECTION, INJECTION_TYPES, encoded),
    )
    return Answer(
        blocked=blocked,
        matches=matches,
        reflex_request_id=_request_id(data.get("request_id")),
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says two things under one name: one of them may be the worse."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _is_blocked(status: object) -> bool:
    word = re.sub("[ _-]", "", status.lower()) if isinstance(status, str) else None
    match word:
        case "success":
            return False
        case "blocked":
            return True
        case "ratelimited":
            raise RateLimited("rate limited", retry_after_seconds=RATE_LIMIT_RETRY_AFTER_SECONDS)
        case "error":
            raise ServerFault("answered with an error")
    raise UnusableAnswer("unknown status")


def _matches(
    data: dict[str, Any], kind: Kind, types: frozenset[str], encoded: bytes
) -> list[Match]:
    detected, matches = data.get(f"{kind}_detected"), data.get(f"{kind}_matches")
    if not isinstance(detected, bool) or not isinstance(matches, list):
        raise UnusableAnswer(f"{kind} fields are missing or of the wrong type")
    if len(matches) > MAX_MATCHES:
        raise AnswerTooLong("too many findings")
    if detected and not matches:
        # The flag counts even where no finding is named.
        severity = _UNKNOWN_SEVERITY if kind is Kind.INJECTION else None
        return [Match(kind, CUSTOM_TYPE, severity)]
    return [_match(match, kind, types, encoded) for match in matches]


def _match(match: object, kind: Kind, types: frozenset[str], encoded: bytes) -> Match:
    if not isinstance(match, dict):
        raise UnusableAnswer(f"a {kind} match is not an object")
    name = match.get(f"{kind}_type")
    severity = None
    if kind is Kind.INJECTION:
        severity = _severity(match.get("severity"))
    start, end = _offset(match.get("start")), _offset(match.get("end"))
    # One document calls the text itself `matched_text`, another `value`.
    quoted = match.get("matched_text", match.get("value"))
    return Match(
        kind=kind,
        type=name if isinstance(name, str) and name in types else CUSTOM_TYPE,
        severity=severity,
        confidence=_confidence(match.get("confidence")),
        start=start,
        end=end,
        # Compared and dropped: a peer that counts characters would have the wrong ones replaced.
        is_certain=isinstance(quoted, str)
        and None not in (start, end)
        and quoted.encode(errors="surrogatepass") == encoded[start:end],
    )


def _severity(value: object) -> Severity:
    word = value.lower() if isinstance(value, str) else ""
    return _SEVERITIES.get(word, _UNKNOWN_SEVERITY)


def _confidence(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Brought into its range first: an integer may be too large for a float.
    confidence = float(min(max(value, 0), 1))
    return None if math.isnan(confidence) else confidence


def _offset(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    # What can be in no text need not fit into a column either.
    return value if 0 <= value <= MAX_TEXT_BYTES else None


def _request_id(value: object) -> str:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""
