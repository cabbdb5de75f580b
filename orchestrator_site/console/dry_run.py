"""The dry run: what the gate would say of a text, as a page of the console.

The text goes to the Reflex Layer and back to who sent it, and nowhere else.
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
# More rows explain nothing; the text shows the marks of all.
MAX_ROWS: Final = 100


class DryRunForm(forms.Form):
    text = forms.CharField(
        strip=False,
        widget=forms.Textarea(
            # Some browsers send what they check to their makers.
            attrs={"class": "vLargeTextField", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=f"At most {MAX_TEXT_BYTES} bytes of UTF-8. It is screened and not stored.",
    )

    def clean_text(self) -> str:
        """Undo what browsers do to the ends of lines, and hold the Reflex Layer's limit."""
        text: str = self.cleaned_data[FIELD].replace("\r\n", "\n")
        size_bytes = len(text.encode()) + 1
        if size_bytes > MAX_TEXT_BYTES:
            raise ValidationError(
                f"The Reflex Layer screens at most {MAX_TEXT_BYTES} bytes of UTF-8, and a line "
                f"end is one of them; this text has {size_bytes}."
            )
        return text


class Segment(NamedTuple):
    """A part of the text and the types of what was found in it."""

    text: str
    types: str


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("safety.dry_run", raise_exception=True)
def dry_run(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Answer with the form and, after a POST, with what came of its text.

    Args:
        context: what every page of the console shows.
    """
    form = DryRunForm(request.POST if request.method == "POST" else None)
    outcome = {}
    if not context["is_screening_off"] and form.is_valid():
        outcome = try_text(form.cleaned_data[FIELD], request_id=origin_of(request).request_id)
    return render(
        request, "admin/dry_run.html", {**context, "title": "Dry run", "form": form, **outcome}
    )


def try_text(text: str, *, request_id: str) -> dict[str, Any]:
    """Have `text` screened; return what the page shows of the outcome."""
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
