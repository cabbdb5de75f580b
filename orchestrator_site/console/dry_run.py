"""The page *Dry run*: staff enter a text and get the gate's verdict on it.

The text is sent to the Reflex Layer and shown on the page. It goes nowhere else.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from safety.document import MAX_TEXT_BYTES, Document
from safety.exceptions import NoVerdict
from safety.findings import Finding
from safety.gate import gate
from safety.origin import origin_of

FIELD: Final = "text"
# More rows would not help staff; the marks in the text show all findings.
MAX_ROWS: Final = 100


class DryRunForm(forms.Form):
    text = forms.CharField(
        strip=False,
        widget=forms.Textarea(
            # Some browsers send checked text to their vendor.
            attrs={"class": "vLargeTextField", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=f"At most {MAX_TEXT_BYTES} bytes of UTF-8. The text is screened but not stored.",
    )

    def clean_text(self) -> str:
        """Restore the line ends that browsers change, and enforce the Reflex Layer's limit."""
        text: str = self.cleaned_data[FIELD].replace("\r\n", "\n")
        size_bytes = len(text.encode()) + 1
        if size_bytes > MAX_TEXT_BYTES:
            raise ValidationError(
                f"The Reflex Layer screens at most {MAX_TEXT_BYTES} bytes of UTF-8. With a line "
                f"end, this text has {size_bytes}."
            )
        return text


class Segment(NamedTuple):
    """A part of the text and the types of the findings in it."""

    text: str
    types: str


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("safety.dry_run", raise_exception=True)
def dry_run(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the form and, after a POST, the outcome for its text.

    Args:
        context: the template context of every page of the console.
    """
    form = DryRunForm(request.POST if request.method == "POST" else None)
    outcome = {}
    if not context["is_screening_off"] and form.is_valid():
        outcome = try_text(form.cleaned_data[FIELD], request_id=origin_of(request).request_id)
    return render(
        request, "admin/dry_run.html", {**context, "title": "Dry run", "form": form, **outcome}
    )


def try_text(text: str, *, request_id: str) -> dict[str, Any]:
    """Screen `text`; return the outcome as template context."""
    the_gate = gate()
    try:
        screening = the_gate.screen(Document({FIELD: text}), request_id=request_id)
    except NoVerdict as error:
        return {"no_verdict": error}
    return {
        "screening": screening,
        "policy_version": the_gate.policy_version,
        "duration_ms": screening.duration_seconds * 1000,
        "blocked_for": sorted(screening.blocked_for),
        "rows": [_row(finding) for finding in screening.findings[:MAX_ROWS]],
        "segments": list(marked(text, screening.findings)),
        "redacted": screening.redaction and screening.redaction.document.fields[FIELD],
    }


def marked(text: str, findings: Iterable[Finding]) -> Iterator[Segment]:
    """Cut `text` wherever a finding begins or ends."""
    changes: dict[int, Counter[str]] = defaultdict(Counter)
    for finding in findings:
        for place in finding.places:
            changes[place.start].update([finding.type])
            changes[place.end].subtract([finding.type])
    types: Counter[str] = Counter()
    done = 0
    for position in [*sorted(changes), len(text)]:
        if done < position:
            yield Segment(text[done:position], ", ".join(sorted(+types)))
        types.update(changes.get(position, ()))
        done = position


def _row(finding: Finding) -> dict[str, Any]:
    return {
        **finding.as_dict(),
        # People count from 1.
        "where": [f"{place.start + 1} to {place.end}" for place in finding.places],
    }
