"""Answer one request to `/process`, in the server or in a process of the pool."""

import logging
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from .answers import OK, Response, json_response, refusal
from .request import Refused, parse
from .screening import screen

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Processed:
    """An answer, and the values that are counted for it.

    Attributes:
        outcome: the status of the screening, or why there is none.
        seconds: how long the screening took, without waiting times.
        findings: how many findings are in the answer, by kind and type.
    """

    response: Response
    outcome: str
    seconds: float | None = None
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)


def process(body: bytes, identifier: str) -> Processed:
    """Screen the text of a request. Errors are answered in the protocol's format too."""
    try:
        return screened(body, identifier)
    except Refused as refused:
        return Processed(refusal(refused, identifier), "refused")
    except Exception as error:
        log_failure(error, identifier)
        return failed(identifier)


def screened(body: bytes, identifier: str) -> Processed:
    request = parse(body)
    started = time.perf_counter()
    answer = screen(
        request.text, check_pii=request.check_pii, check_injection=request.check_injection
    )
    seconds = time.perf_counter() - started
    response = json_response(
        OK,
        {
            "request_id": identifier,
            **answer,
            "cache_hit": False,
            "processing_time_ms": round(seconds * 1000, 3),
        },
    )
    findings = Counter(
        (kind, match[f"{kind}_type"])
        for kind in ("pii", "injection")
        for match in answer[f"{kind}_matches"]
    )
    return Processed(response, answer["status"], seconds, findings)


def failed(identifier: str) -> Processed:
    error = Refused("500 Internal Server Error", "INTERNAL_ERROR", "The screening failed.")
    return Processed(refusal(error, identifier), "error")


def log_failure(error: Exception, identifier: str) -> None:
    """Log where the error occurred, without its message, which may quote the text."""
    places = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger.error(
        "A request failed. request_id=%s error=%s at=%s",
        identifier,
        type(error).__name__,
        " > ".join(places),
    )
