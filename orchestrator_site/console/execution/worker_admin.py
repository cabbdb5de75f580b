"""The console's list of workers."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from orchestrator_site.console.formats import age, labelled
from orchestrator_site.console.lists.read_only import BoundedChangeList, ReadOnlyModelAdmin
from tasks.models import Attempt, Worker
from tasks.models.execution.worker import LIVES_FOR, WorkerQuerySet

# Of each worker.
MAX_ATTEMPTS: Final = 10
ALIVE, STOPPED, LOST = "alive", "stopped", "lost"
# Colour and sign of each label.
_LABELS: Final = {
    ALIVE: ("completed", "✓"),
    STOPPED: ("cancelled", "⊘"),
    LOST: ("failed", "✕"),
}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in _LABELS]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Worker]:
        workers: WorkerQuerySet = queryset
        match self.value():
            case None:
                return workers
            case "alive":
                return workers.alive()
            case "stopped":
                return workers.filter(ended_at__isnull=False)
            case "lost":
                return workers.filter(ended_at=None, seen_at__lte=Now() - LIVES_FOR)
        raise ValueError("no state of a worker")


class WorkerList(BoundedChangeList):
    """Attempts only of the workers that the page shows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        of_worker: dict[Any, list[Attempt]] = {worker.pk: [] for worker in self.result_list}
        attempts = Attempt.objects.filter(worker__in=[*of_worker], ended_at=None)
        for attempt in attempts.select_related("step").order_by("id"):
            of_worker[attempt.worker_id].append(attempt)
        for worker in self.result_list:
            worker.open_attempts = of_worker[worker.pk]


class WorkerAdmin(ReadOnlyModelAdmin):
    list_display = (
        "machine",
        "state",
        "process",
        "version",
        "doing",
        "at_most",
        "since",
        "seen",
    )
    list_display_links = None
    list_filter = (StateFilter,)
    lookups = frozenset({"state"})
    ordering = ("-started_at",)
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[WorkerList]:
        return WorkerList

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        state = state_of(worker)
        colour, sign = _LABELS[state]
        return labelled(colour, sign, state.capitalize())

    @admin.display(description="works on")
    def doing(self, worker: Any) -> str:
        attempts: list[Attempt] = worker.open_attempts
        links = format_html_join(
            " ", '<a href="{}">{}</a>', map(_task_link, attempts[:MAX_ATTEMPTS])
        )
        more = len(attempts) - MAX_ATTEMPTS
        return format_html("{} and {} more", links, more) if more > 0 else links or "nothing"

    @admin.display(description="at most")
    def at_most(self, worker: Worker) -> str:
        return f"{worker.concurrency} at once"

    @admin.display(description="since (UTC)")
    def since(self, worker: Worker) -> str:
        return f"{worker.started_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="last sign of life")
    def seen(self, worker: Worker) -> str:
        moment = worker.ended_at or worker.seen_at
        return format_html("{} ago", age(moment, timezone.now()))


def state_of(worker: Worker) -> str:
    if worker.ended_at:
        return STOPPED
    return ALIVE if worker.seen_at > timezone.now() - LIVES_FOR else LOST


def _task_link(attempt: Attempt) -> tuple[str, str]:
    task_id = attempt.step.task_id
    return reverse("admin:tasks_task_change", args=[task_id]), str(task_id)[:8]
