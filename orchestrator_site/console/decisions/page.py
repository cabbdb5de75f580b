"""The page on which staff accept or reject a result that waits for a decision."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from orchestrator_site.console.decisions.earlier import earlier_decisions, steps_of
from orchestrator_site.console.decisions.outcomes import sentence_about
from orchestrator_site.console.decisions.waiting_list import expires_at
from orchestrator_site.console.execution import step_words
from orchestrator_site.console.execution.criteria import criteria_of
from orchestrator_site.console.execution.provenance import flagged_answers
from orchestrator_site.console.formats import as_list, label
from orchestrator_site.console.json_html import json_html
from orchestrator_site.console.permissions import DECIDING
from orchestrator_site.console.reasons import reason_field
from tasks.exceptions import DecisionTaken
from tasks.execution.runs import decisions
from tasks.execution.runs.moves import ACCEPTED, MAX_REPAIRS_OF_STAFF, REJECTED
from tasks.execution.runs.state import answers_of, result_of
from tasks.models import Step
from tasks.states import Priority, Status, StepRole, TaskVerdict, WaitsFor

MAX_WISH_CHARACTERS: Final = 2_000
# What follows from a decision, by the status of the task.
_FOLLOWS: Final[dict[str, str]] = {
    Status.COMPLETED: "is completed",
    Status.FAILED: "has failed",
    Status.PROCESSING: "is repaired once more",
}


class DecisionForm(forms.Form):
    reason = reason_field(help_text="All staff who may see the task see it in the timeline.")
    wish = forms.CharField(
        label="What to do better",
        required=False,
        max_length=MAX_WISH_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3, "autocomplete": "off"}),
        help_text="Only to reject: an arm then repairs the result once more. "
        "If this is empty, the task fails.",
    )

    def __init__(self, data: Any = None, *, outcome: str = "", may_repair: bool = True) -> None:
        super().__init__(data)
        self._outcome = outcome
        if not may_repair:
            del self.fields["wish"]

    def clean_wish(self) -> str:
        """Restore the line ends that browsers change; an accepted result is not repaired."""
        wish: str = self.cleaned_data["wish"].replace("\r\n", "\n")
        if wish and self._outcome == ACCEPTED:
            raise forms.ValidationError("Reject the result to have it repaired, or empty this.")
        return wish


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(DECIDING, raise_exception=True)
def decision_page(request: HttpRequest, context: dict[str, Any], step_id: UUID) -> HttpResponse:
    """Show the result and its criteria, and the form; accept or reject the result."""
    found = Step.objects.filter(role=StepRole.DECIDE).select_related("task", "run")
    step = found.defer("task__goal_words").filter(pk=step_id).first()
    if step is None:
        messages.warning(request, "There is no such decision.")
        return redirect("admin:decisions")
    if step.waits_for != WaitsFor.DECISION:
        return _told(request, step)
    steps = list(steps_of(step.run_id))
    asked = sum(bool(one.action) for one in steps if one.role == StepRole.REPAIR)
    may_repair = asked < MAX_REPAIRS_OF_STAFF
    form = DecisionForm(may_repair=may_repair)
    if request.method == "POST":
        outcome = request.POST.get("outcome", "")
        if outcome not in (ACCEPTED, REJECTED):
            raise BadRequest("unknown outcome")
        form = DecisionForm(request.POST, outcome=outcome, may_repair=may_repair)
        if form.is_valid():
            return _decide(request, step, outcome, **form.cleaned_data)
    return render(
        request,
        "admin/decisions/page.html",
        {**context, **_described(step, steps), "form": form, "may_repair": may_repair},
    )


def _decide(
    request: HttpRequest, step: Step, outcome: str, *, reason: str, wish: str = ""
) -> HttpResponse:
    decide = decisions.accept if outcome == ACCEPTED else partial(decisions.reject, wish=wish)
    actor = request.user.get_username()
    try:
        decide(task_id=step.task_id, step_id=step.pk, actor=actor, reason=reason)
    except DecisionTaken:
        return _told(request, step)
    step.task.refresh_from_db(fields=["status"])
    follows = _FOLLOWS.get(step.task.status, "has ended")
    text = format_html("{}: task {} {}.", outcome.capitalize(), _link(request, step), follows)
    messages.success(request, text)
    return redirect("admin:decisions")


def _told(request: HttpRequest, step: Step) -> HttpResponse:
    """Tell that there is nothing to decide any more, and why."""
    about = sentence_about(step, reader=request.user.get_username())
    messages.warning(request, format_html("Task {}: {}", _link(request, step), about))
    return redirect("admin:decisions")


def _link(request: HttpRequest, step: Step) -> str:
    name = str(step.task_id)[:8]
    if not request.user.has_perm("tasks.view_task"):
        return name
    return format_html('<a href="{}">{}</a>', _page_of_task(step), name)


def _page_of_task(step: Step) -> str:
    return reverse("admin:tasks_task_change", args=[step.task_id])


def _described(step: Step, steps: list[Step]) -> dict[str, Any]:
    task, run = step.task, step.run
    criteria = criteria_of(task, run)
    return {
        "title": f"Decide about task {str(task.pk)[:8]}",
        "step": step,
        "labels": [label(Priority(task.priority)), label(TaskVerdict(task.verdict))],
        "expires_at": expires_at(step),
        "context": json_html(task.context) if task.context else "",
        "constraints": as_list(task.constraints),
        "earlier": earlier_decisions(step, steps, _page_of_task(step)),
        "result": json_html(result_of(answers_of(run.pk, step.depends_on))),
        "sources": step_words.links(
            [one for one in steps if one.number and one.number in step.depends_on],
            run.number,
            _page_of_task(step),
        ),
        "flagged": [
            step_words.flagged_in_words("Made with", one, run.number, _page_of_task(step))
            for one in flagged_answers(steps)[step.pk]
        ],
        "undecided": [one for one in criteria if one.is_open],
        "decided": [one for one in criteria if not one.is_open],
    }
