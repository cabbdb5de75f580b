"""A screening: the findings of the Reflex Layer in one submission, and the policy's verdict."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from safety.document import Document, TextTooLong
from safety.exceptions import TooManyFindings
from safety.findings import CUSTOM_TYPE, Answer, Finding, Kind, locate
from safety.metrics import FINDINGS, LAST_SEEN, REFLEX_CALLS
from safety.policy import Policy, Verdict
from safety.redaction import Redaction, widened

# A label can make its neighbour look like another finding, but not again and again.
MAX_REDACTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Screening:
    """The findings in one submission, and their consequences.

    Attributes:
        document: as the client sent it.
        blocked_for: the kinds of finding that block; empty where nothing does, or where
            the Reflex Layer blocks and names no finding.
        reason: why it is blocked, in a few constant words, where no finding says so.
        findings: with their places in the document.
        redaction: what has to be replaced before anything is stored; None for nothing.
        redacted_types: the types of what is replaced, each once, in alphabetical order.
        reflex_request_id: the id under which the Reflex Layer knows the last call.
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


def screen(document: Document, *, ask: Callable[[str], Answer], policy: Policy) -> Screening:
    """Return the screening of `document`, its duration left out.

    A text in which something is replaced is screened again, until nothing is left to replace:
    a secret may stand beside another that hides it.

    Args:
        ask: has a text screened.

    Raises:
        NoVerdict: `ask` gets no answer.
    """
    redaction, redacted_types = Redaction(document), set[str]()
    findings: list[Finding] = []
    verdict = Verdict.SAFE
    for _ in range(1 + MAX_REDACTIONS):
        try:
            answer = ask(redaction.document.text)
        except TextTooLong:
            return _refused(document, findings, "labels make the text too long", Kind.PII)
        except TooManyFindings as error:
            _count(Verdict.BLOCKED)
            return _refused(document, findings, error.reason)
        found = tuple(_traced(locate(answer.matches, redaction.document), redaction))
        # A finding that is not replaced is found again each time.
        known = set(findings)
        findings += [finding for finding in found if finding not in known]
        judgement = policy.judge(found, reflex_layer_blocks=answer.blocked)
        _count(judgement.verdict, found)
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
    return _refused(document, findings, "redaction leaves findings", Kind.PII)


def _traced(findings: Iterable[Finding], redaction: Redaction) -> Iterator[Finding]:
    """Yield what was found in the redacted document with its places in the original.

    A finding that lies inside our own labels does not count.
    """
    for finding in findings:
        traced = [redaction.original_place(place) for place in finding.places]
        places = tuple(place for place in traced if place is not None)
        if places or not finding.is_replaceable:
            yield replace(finding, places=places)


def _refused(
    document: Document, findings: Iterable[Finding], reason: str, *kinds: Kind
) -> Screening:
    """Return the refusal of a document for a reason that no finding says."""
    return Screening(
        document,
        Verdict.BLOCKED,
        blocked_for=frozenset(kinds),
        reason=reason,
        findings=tuple(findings),
    )


def _label(finding: Finding) -> str:
    return "[PII]" if finding.type == CUSTOM_TYPE else f"[{finding.type.upper()}]"


def _count(verdict: Verdict, found: Iterable[Finding] = ()) -> None:
    """Count one call to the Reflex Layer by what the policy makes of its answer."""
    REFLEX_CALLS.labels(verdict).inc()
    LAST_SEEN.labels(verdict).set_to_current_time()
    for finding in found:
        FINDINGS.labels(finding.kind, finding.type).inc()
