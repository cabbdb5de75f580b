"""The list of results that wait for a decision, the oldest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from orchestrator_site.console.execution.criteria import judgements_of
from orchestrator_site.console.formats import age, label, shortened
from orchestrator_site.console.permissions import DECIDING
from tasks.models import Step
from tasks.states import Priority, WaitsFor

PER_PAGE: Final = 50
# Staff decide about the oldest ones, so they do not page on for ever.
MAX_PAGES: Final = 100


@dataclass(frozen=True)
class Waiting:
    """A result that waits.

    Attributes:
        since: how long it has waited.
        undecided: how many criteria are undecided.
    """

    step: Step
    priority: str
    goal: str
    since: str
    expires_at: datetime
    undecided: int


@require_safe
@permission_required(DECIDING, raise_exception=True)
def waiting_list(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    number = _page_number(request)
    first = number * PER_PAGE
    steps = list(_oldest()[first : first + PER_PAGE + 1])
    context |= {
        "title": "Decisions",
        "waiting": _shown(steps[:PER_PAGE]),
        "earlier": number - 1 if number else None,
        "later": number + 1 if len(steps) > PER_PAGE and number + 1 < MAX_PAGES else None,
    }
    return render(request, "admin/decisions/list.html", context)


def expires_at(step: Step) -> datetime:
    """Return when a step that waits for a decision expires."""
    seconds = settings.RUN_OPTIONS.decision_seconds
    return (step.parked_at or timezone.now()) + timedelta(seconds=seconds)


def _page_number(request: HttpRequest) -> int:
    given = request.GET.get("p", "")
    # A longer number would be beyond the last page anyway.
    number = int(given[:6]) if given.isascii() and given.isdigit() else 0
    return min(number, MAX_PAGES - 1)


def _oldest() -> Any:
    waiting = Step.objects.filter(waits_for=WaitsFor.DECISION).select_related("task", "run")
    return waiting.only(
        "parked_at", "task__goal", "task__priority", "run__number", "run__verdicts"
    ).order_by("parked_at", "id")


def _shown(steps: Iterable[Step]) -> list[Waiting]:
    now = timezone.now()
    return [
        Waiting(
            step,
            label(Priority(step.task.priority)),
            shortened(step.task.goal),
            age(step.parked_at or now, now),
            expires_at(step),
            sum(judgement.is_open for judgement in judgements_of(step.run)),
        )
        for step in steps
    ]
