"""Screen one document: get the findings of the Reflex Layer and apply the policy."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from safety.document import Document, TextTooLong
from safety.exceptions import TooManyFindings
from safety.findings import CUSTOM_TYPE, Answer, Finding, Kind, locate
from safety.metrics import FINDINGS, LAST_SEEN, REFLEX_CALLS
from safety.policy import Judgement, Policy, Verdict
from safety.redaction import Redaction, widened
from safety.windows import answers, merged

# A label can make the text beside it look like another finding. If each redaction leads to new
# findings, the document is refused in the end.
MAX_REDACTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Screening:
    """The findings in one document, and their consequences.

    Attributes:
        document: as it came.
        blocked_for: the kinds of finding that block; empty if nothing blocks, or if the Reflex
            Layer blocks without naming a finding.
        reason: a short constant phrase that says why the document is blocked, if no finding
            explains it; else empty.
        findings: with their places in the document.
        redaction: the redacted form to store; None if nothing is replaced.
        redacted_types: the types of the replaced findings, each once, in alphabetical order.
        reflex_request_id: the id of the last call in the Reflex Layer's logs.
    """

    document: Document
    verdict: Verdict
    blocked_for: frozenset[Kind] = frozenset()
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    redaction: Redaction | None = None
    redacted_types: tuple[str, ...] = ()
    reflex_request_id: str = ""
    duration_seconds: float = 0.0


class _Round(NamedTuple):
    """An answer of the Reflex Layer with its consequences.

    Attributes:
        found: with their places in the original document.
    """

    answer: Answer
    found: tuple[Finding, ...]
    judgement: Judgement


def screen(document: Document, *, ask: Callable[[str], Answer], policy: Policy) -> Screening:
    """Return the screening of `document`, without its duration.

    A redacted text is screened again until nothing is left to replace, because one secret may
    hide another beside it. A document without any text is safe.

    Args:
        ask: sends a text to the Reflex Layer, at most `MAX_TEXT_BYTES` bytes, and returns its
            answer.

    Raises:
        NoVerdict: `ask` got no answer.
    """
    redaction, redacted_types = Redaction(document), set[str]()
    findings: list[Finding] = []
    verdict = Verdict.SAFE
    for _ in range(1 + MAX_REDACTIONS):
        try:
            if not document.text:
                return Screening(document, verdict)
            answer, found, judgement = _ask_about(redaction, ask=ask, policy=policy)
        except TextTooLong:
            return _too_long(document, findings, is_redacted=bool(redacted_types))
        except TooManyFindings as error:
            return _refused(document, findings, error.reason)
        # A finding that is not replaced is found again in each round.
        known = set(findings)
        findings += [finding for finding in found if finding not in known]
        _count_findings(found)
        if judgement.verdict is not Verdict.SAFE:
            verdict = judgement.verdict
        if verdict is Verdict.BLOCKED or not judgement.to_redact:
            is_redacted = redacted_types and verdict is not Verdict.BLOCKED
            return Screening(
                document,
                verdict,
                blocked_for=judgement.blocked_for,
                findings=tuple(findings),
                redaction=redaction if is_redacted else None,
                redacted_types=tuple(sorted(redacted_types)) if is_redacted else (),
                reflex_request_id=answer.reflex_request_id,
            )
        redaction = redaction.extended(
            (widened(place, document), _label(finding))
            for finding in judgement.to_redact
            for place in finding.places
        )
        redacted_types |= {finding.type for finding in judgement.to_redact}
    return _refused(document, findings, "findings remain after redaction", Kind.PII)


def _ask_about(redaction: Redaction, *, ask: Callable[[str], Answer], policy: Policy) -> _Round:
    """Return what the Reflex Layer says about the redacted document.

    Raises:
        TextTooLong: the document is longer than its limit.
        TooManyFindings: one answer has too many, or all answers together.
        NoVerdict: `ask` got no answer.
    """
    windows = _ask_about_windows(redaction, ask=ask, policy=policy)
    first = next(windows)
    whole = functools.reduce(merged, (window.answer for window in windows), first.answer)
    return first if whole is first.answer else _judged(whole, redaction, policy)


def _ask_about_windows(
    redaction: Redaction, *, ask: Callable[[str], Answer], policy: Policy
) -> Iterator[_Round]:
    """Yield what the Reflex Layer says about each window, and count each call by its verdict."""

    def counted(text: str) -> Answer:
        try:
            return ask(text)
        except TooManyFindings:
            _count(Verdict.BLOCKED)
            raise

    for answer in answers(redaction.document.text, ask=counted):
        window = _judged(answer, redaction, policy)
        _count(window.judgement.verdict)
        yield window


def _judged(answer: Answer, redaction: Redaction, policy: Policy) -> _Round:
    found = tuple(_traced(locate(answer.matches, redaction.document), redaction))
    return _Round(answer, found, policy.judge(found, reflex_layer_blocks=answer.blocked))


def _traced(findings: Iterable[Finding], redaction: Redaction) -> Iterator[Finding]:
    """Yield the findings in the redacted document, with their places in the original.

    A finding that is certainly inside one of our own labels is dropped.
    """
    for finding in findings:
        traced = [redaction.original_place(place) for place in finding.places]
        places = tuple(place for place in traced if place is not None)
        if places or not finding.is_replaceable:
            yield replace(finding, places=places)


def _refused(
    document: Document, findings: Iterable[Finding], reason: str, *kinds: Kind
) -> Screening:
    """Return the screening of a document that is blocked for a reason other than a finding."""
    return Screening(
        document,
        Verdict.BLOCKED,
        blocked_for=frozenset(kinds),
        reason=reason,
        findings=tuple(findings),
    )


def _too_long(document: Document, findings: Iterable[Finding], *, is_redacted: bool) -> Screening:
    if is_redacted:
        return _refused(document, findings, "text too long after redaction", Kind.PII)
    return _refused(document, findings, "text too long")


def _label(finding: Finding) -> str:
    return "[PII]" if finding.type == CUSTOM_TYPE else f"[{finding.type.upper()}]"


def _count(verdict: Verdict) -> None:
    """Count one call to the Reflex Layer by the verdict on the text that was sent."""
    REFLEX_CALLS.labels(verdict).inc()
    LAST_SEEN.labels(verdict).set_to_current_time()


def _count_findings(found: Iterable[Finding]) -> None:
    for finding in found:
        FINDINGS.labels(finding.kind, finding.type).inc()
