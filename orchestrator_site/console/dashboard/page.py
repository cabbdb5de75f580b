"""The dashboard as a whole, with the sections that a member of staff may see."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from orchestrator_site import VERSION
from orchestrator_site.console.dashboard.execution import (
    concerns_about,
    crew,
    dollars_today,
    execution_section,
)
from orchestrator_site.console.dashboard.figures import submissions
from orchestrator_site.console.dashboard.sections import receipt_section, task_section, undecided
from orchestrator_site.console.dashboard.state import (
    Concern,
    concerns,
    database_state,
    reflex_layer_in_short,
)
from orchestrator_site.console.permissions import may_decide
from orchestrator_site.console.reflex_state import reflex_state
from tasks.models import Pause


def dashboard(request: HttpRequest) -> dict[str, Any]:
    """Return the template context of the dashboard for this member of staff.

    All staff see the concerns, even about receipts that they may not view. Other data that they may
    not view is not even read.
    """
    now = timezone.now()
    may = request.user.has_perm
    is_screening_off = not settings.ENABLE_REFLEX_INTEGRATION
    processes, database = reflex_state(), database_state()
    found = concerns(processes, database, is_screening_off=is_screening_off)
    arms_and_workers, pause = crew(), Pause.objects.current()
    found += concerns_about(arms_and_workers, pause, may_view_arms=may("tasks.view_arm"))
    may_view_receipts = may("safety.view_receipt")
    submitted = submissions(now)
    without_verdict = undecided(submitted)
    if without_verdict.count:
        found.append(
            Concern(
                "Submissions without a verdict in this hour and the previous one: "
                f"{without_verdict}.",
                without_verdict.url if may_view_receipts else "",
            )
        )
    return {
        "now": now,
        "version": VERSION,
        "is_anonymous_access_on": settings.ANONYMOUS_ACCESS,
        "crew": arms_and_workers,
        # The banner would read it again.
        "pause": pause,
        "processes": processes,
        "database": database,
        "reflex_layer": reflex_layer_in_short(processes, is_screening_off=is_screening_off),
        "concerns": found,
        "tasks": (
            task_section(now, with_goals=may("tasks.view_task_content"))
            if may("tasks.view_task")
            else None
        ),
        "execution": (
            execution_section(now, may_decide=may_decide(request))
            if may("tasks.view_task")
            else None
        ),
        "dollars": (
            dollars_today(now, settings.MAX_COST_USD_PER_DAY) if may("tasks.view_arm") else ""
        ),
        "receipts": receipt_section(submitted) if may_view_receipts else None,
    }
