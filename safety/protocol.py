"""The Reflex Layer's JSON, as it is on the wire.

Its source and its documents differ; both shapes are read. What is in neither is no
verdict: a lenient reader would take a rate limit for a clean text. The matched text
of a finding is the secret itself and is dropped here.
"""

import json
import math
import re
from typing import Any, Final

from safety.exceptions import RateLimited, ServerFault, UnusableAnswer
from safety.findings import (
    CUSTOM_TYPE,
    INJECTION_TYPES,
    PII_TYPES,
    Answer,
    Finding,
    Kind,
    Severity,
)

MAX_TEXT_BYTES: Final = 100_000
# Its limiter counts minutes and hours; it names no time with a 200.
RATE_LIMIT_RETRY_AFTER_SECONDS: Final = 30

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
            # The peer's cache does not tell these two apart: anything but both
            # would poison it.
            "check_pii": True,
            "check_injection": True,
            "use_cache": True,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def parse_answer(body: bytes) -> Answer:
    """Read the body of a 200.

    Raises:
        RateLimited, ServerFault: it says so itself.
        UnusableAnswer: anything that is not in the protocol.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("answer is not JSON") from error
    if not isinstance(data, dict):
        raise UnusableAnswer("answer is not an object")
    blocked = _is_blocked(data.get("status"))
    findings = (
        *_findings(data, Kind.PII, PII_TYPES),
        *_findings(data, Kind.INJECTION, INJECTION_TYPES),
    )
    return Answer(
        blocked=blocked,
        findings=findings,
        reflex_request_id=_request_id(data.get("request_id")),
        cache_hit=data.get("cache_hit") is True,
    )


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


def _findings(data: dict[str, Any], kind: Kind, types: frozenset[str]) -> list[Finding]:
    detected, matches = data.get(f"{kind}_detected"), data.get(f"{kind}_matches")
    if not isinstance(detected, bool) or not isinstance(matches, list):
        raise UnusableAnswer(f"{kind} fields are missing or of the wrong type")
    findings = [_finding(match, kind, types) for match in matches]
    if detected and not findings:
        # The flag counts even where no finding is named.
        severity = _UNKNOWN_SEVERITY if kind is Kind.INJECTION else None
        findings.append(Finding(kind, CUSTOM_TYPE, severity))
    return findings


def _finding(match: object, kind: Kind, types: frozenset[str]) -> Finding:
    if not isinstance(match, dict):
        raise UnusableAnswer(f"a {kind} match is not an object")
    name = match.get(f"{kind}_type")
    severity = None
    if kind is Kind.INJECTION:
        severity = _severity(match.get("severity"))
    return Finding(
        kind=kind,
        type=name if isinstance(name, str) and name in types else CUSTOM_TYPE,
        severity=severity,
        confidence=_confidence(match.get("confidence")),
        start=_offset(match.get("start")),
        end=_offset(match.get("end")),
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
