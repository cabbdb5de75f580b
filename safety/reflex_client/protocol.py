"""The JSON protocol of the Reflex Layer.

The source code of the public Reflex Layer and its documentation differ; both formats are
accepted. Any other answer is no verdict: a lenient parser could mistake a rate limit for a clean
text. The matched text of a finding is the secret itself, so it is dropped here.
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

# More matches than a text can hold. An answer of empty objects could have a hundred times as
# many.
MAX_MATCHES: Final = 10_000
# The limits of the Reflex Layer are per minute and per hour; a 200 names no time to wait.
RATE_LIMIT_RETRY_AFTER_SECONDS: Final = 60

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
# A missing or unknown severity counts as the worst one.
_UNKNOWN_SEVERITY = Severity.CRITICAL


def request_body(text: str) -> bytes:
    """Return the body of `POST /process` for `text`."""
    return json.dumps(
        {
            "text": text,
            "user_id": None,
            # The cache of the public Reflex Layer ignores these two options. After a call with
            # only one of them, other callers would get an incomplete answer.
            "check_pii": True,
            "check_injection": True,
            # The cache also ignores upper and lower case. A secret would pass after a harmless
            # text that differs only in case.
            "use_cache": False,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def parse_answer(body: bytes, text: str) -> Answer:
    """Parse the body of a 200 answer to the screening of `text`.

    Raises:
        RateLimited, ServerFault: the answer says so itself.
        AnswerTooLong: the answer has more than `MAX_MATCHES` matches of one kind.
        UnusableAnswer: the answer comes from a cache, or does not follow the protocol.
    """
    try:
        data = json.loads(body, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("answer is not JSON") from error
    if not isinstance(data, dict):
        raise UnusableAnswer("answer is not an object")
    blocked = _is_blocked(data.get("status"))
    if data.get("cache_hit", False) is not False:
        # It may be the answer to a similar text.
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
    """Refuse an object with a duplicate key, since the value that is lost may be the worse one."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
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
        # The flag counts even without a finding.
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
    # The matched text is called `matched_text` in one document and `value` in another.
    quoted = match.get("matched_text", match.get("value"))
    return Match(
        kind=kind,
        type=name if isinstance(name, str) and name in types else CUSTOM_TYPE,
        severity=severity,
        confidence=_confidence(match.get("confidence")),
        start=start,
        end=end,
        # The text is only compared and then dropped. The offsets of a peer that counts
        # characters instead of bytes would make us replace the wrong text.
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
    # Limit the range first, because an integer may be too large for a float.
    confidence = float(min(max(value, 0), 1))
    return None if math.isnan(confidence) else confidence


def _offset(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    # An offset outside any possible text may not fit into a database column either.
    return value if 0 <= value <= MAX_TEXT_BYTES else None


def _request_id(value: object) -> str:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""
