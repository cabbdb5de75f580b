"""Making the receipt of a screening, which never contains the screened text."""

from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from safety.exceptions import NoVerdict
from safety.findings import Finding
from safety.models import Occasion, Receipt, ReceiptVerdict
from safety.origin import Origin
from safety.policy import Verdict
from safety.screening import Screening

# A text may contain thousands of findings, and a finding may lie in thousands of pieces. The first
# ones are enough to explain the verdict.
MAX_FINDINGS: Final = 200
MAX_PLACES_PER_FINDING: Final = 5
# The name of a field deep in a context may be long; a receipt keeps its end.
MAX_FIELD_CHARACTERS: Final = 100


def receipt_of(
    screening: Screening,
    *,
    policy_version: str,
    origin: Origin,
    occasion: Occasion = Occasion.SUBMISSION,
    subject_id: UUID | None = None,
) -> Receipt:
    """Return the receipt of `screening`, without storing it.

    Args:
        subject_id: of an answer, the id of what was asked for. That of an accepted submission may
            be set later, when it is known.
    """
    return Receipt(
        occasion=occasion.value,
        subject_id=subject_id,
        verdict=screening.verdict.value,
        reason=screening.reason,
        findings=described(screening),
        findings_count=len(screening.findings),
        types=sorted({finding.type for finding in screening.findings}),
        redacted_types=list(screening.redacted_types),
        policy_version=policy_version,
        reflex_request_id=screening.reflex_request_id,
        duration_seconds=screening.duration_seconds,
        client_address=origin.client_address,
        client_id=origin.client_id,
        request_id=origin.request_id,
        created_at=timezone.now(),
    )


def receipt_without_verdict(
    error: NoVerdict,
    *,
    policy_version: str,
    origin: Origin,
    occasion: Occasion = Occasion.SUBMISSION,
    subject_id: UUID | None = None,
) -> Receipt:
    """Return the receipt of a screening without a verdict, without storing it.

    Args:
        subject_id: of an answer, the id of what was asked for.
    """
    return Receipt(
        occasion=occasion.value,
        subject_id=subject_id,
        verdict=ReceiptVerdict.NONE,
        reason=error.reason,
        policy_version=policy_version,
        duration_seconds=error.duration_seconds,
        client_address=origin.client_address,
        client_id=origin.client_id,
        request_id=origin.request_id,
        created_at=timezone.now(),
    )


def described(screening: Screening) -> list[dict[str, Any]]:
    """Return the first findings as JSON values, with the names of their fields.

    A key with a finding is not named, since it may be the secret. No key of a refused text is
    named: nothing of it is stored, and a key may be a person's name or an illness.
    """
    if not screening.findings:
        # The text may be too long to be cut into pieces.
        return []
    pieces = screening.document.pieces
    is_refused = screening.verdict is Verdict.BLOCKED
    found_in = {place.piece for finding in screening.findings for place in finding.places}
    hidden = {
        number
        for number, piece in enumerate(pieces)
        # The names of fixed fields are ours.
        if piece.is_key and (number in found_in or (is_refused and not piece.is_fixed))
    }

    def describe(finding: Finding) -> dict[str, Any]:
        return {
            **finding.as_dict(),
            "places": [
                {
                    "field": _shortened(pieces[place.piece].path.name(hidden)),
                    "start": place.start,
                    "end": place.end,
                    "is_key": pieces[place.piece].is_key,
                }
                for place in finding.places[:MAX_PLACES_PER_FINDING]
            ],
            "places_count": len(finding.places),
        }

    return [describe(finding) for finding in screening.findings[:MAX_FINDINGS]]


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_FIELD_CHARACTERS else f"…{name[-MAX_FIELD_CHARACTERS:]}"
