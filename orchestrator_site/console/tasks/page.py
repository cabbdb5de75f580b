"""The console's page of one task, as far as a member of staff may see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.utils.html import format_html

from orchestrator_site.console.execution.criteria import ENDED, criteria_of
from orchestrator_site.console.execution.runs import ShownRuns, runs_of
from orchestrator_site.console.execution.step_words import FLAGGED_LABEL
from orchestrator_site.console.formats import as_list, label
from orchestrator_site.console.json_html import json_html
from orchestrator_site.console.permissions import (
    may_decide,
    may_view_content,
    may_view_receipt,
)
from tasks.changes import ActorKind, EventKind
from tasks.models import Task
from tasks.states import Priority, Status, TaskVerdict
from tasks.timeline import SCREENED, SUBMITTED, Entry, in_words, timeline

# A task that was requeued often may have many results.
MAX_RESULTS: Final = 50


@dataclass(frozen=True)
class Row:
    """One row of the timeline as it is shown."""

    at: datetime
    event: str
    actor: str
    reason: str


def described(task: Task, request: HttpRequest) -> dict[str, Any]:
    """Return the template context for `task`, as far as the user of `request` may see it."""
    is_content_shown, is_receipt_shown = may_view_content(request), may_view_receipt(request)
    entries = timeline(task)
    runs = runs_of(task, with_texts=is_content_shown)
    failed_run = runs.last_failure if task.status == Status.FAILED else None
    return {
        "task": task,
        "labels": [
            label(Status(task.status)),
            label(Priority(task.priority)),
            label(TaskVerdict(task.verdict)),
        ],
        "is_receipt_shown": is_receipt_shown,
        "content": _content(task, runs) if is_content_shown else None,
        "runs": runs,
        "decision": runs.decision_id if may_decide(request) else None,
        # A reason of an old event may quote content of the task.
        "failed_run": failed_run,
        "failure": _reason(task, entries) if is_content_shown else "",
        "timeline": [
            # A reason that the service gives may quote content of the task.
            _row(entry, is_reason_shown=is_content_shown or entry.acted is ActorKind.STAFF)
            for entry in entries
            if is_receipt_shown or entry.kind != SCREENED
        ],
    }


def _content(task: Task, runs: ShownRuns) -> dict[str, Any]:
    results = list(task.results.order_by("-created_at", "-id")[: MAX_RESULTS + 1])
    criteria = criteria_of(task, runs.newest.run if runs.newest else None)
    shown = results[:MAX_RESULTS]
    return {
        # They stand at the top, with what was found about each.
        "criteria": criteria,
        "lists": {
            "Constraints": as_list(task.constraints),
            **({} if criteria else {"Acceptance criteria": []}),
        },
        "context": json_html(task.context),
        # The metadata starts as a copy of the context.
        "metadata": json_html(task.task_metadata) if task.task_metadata != task.context else "",
        "results": [
            (one, json_html(one.result_data), FLAGGED_LABEL if runs.made_flagged(one) else "")
            for one in shown
        ],
        "is_ended": task.status in ENDED,
        "are_results_left_out": len(results) > MAX_RESULTS,
    }


def _reason(task: Task, entries: list[Entry]) -> str:
    """Return the reason that the event of a failure gave, before there were runs."""
    if task.status != Status.FAILED:
        return ""
    # The task may have been requeued since it was read.
    failures = (entry.reason for entry in reversed(entries) if entry.data.get("to") == task.status)
    return next(failures, "")


def _row(entry: Entry, *, is_reason_shown: bool) -> Row:
    kind_of_actor = "gate" if entry.kind == SCREENED else entry.acted.label
    reason = entry.reason if is_reason_shown else ""
    return Row(entry.at, _event(entry), entry.actor or kind_of_actor, reason)


def _event(entry: Entry) -> str:
    if entry.kind == SUBMITTED:
        return "Submitted"
    if entry.kind == SCREENED:
        found = ", ".join(entry.data["types"]) or "nothing found"
        return format_html("Screened {} {}", label(TaskVerdict(entry.data["verdict"])), found)
    if entry.kind == EventKind.PRIORITY:
        before, after = (label(Priority(entry.data[end])) for end in ("from", "to"))
        return format_html("Priority {} → {}", before, after)
    if entry.kind == EventKind.STATUS:
        before, after = (label(Status(entry.data[end])) for end in ("from", "to"))
        return format_html("{} → {}", before, after)
    return in_words(EventKind(entry.kind), entry.data)
