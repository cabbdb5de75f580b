"""The console's read-only list and page of tasks."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from orchestrator_site.console.formats import age, label, short_name, shortened
from orchestrator_site.console.lists.filters import ClientFilter, DayFilter
from orchestrator_site.console.lists.read_only import ReadOnlyModelAdmin
from orchestrator_site.console.permissions import may_view_content, may_view_receipt
from orchestrator_site.console.tasks.actions import OffersActions
from orchestrator_site.console.tasks.filters import (
    ArmFilter,
    FailureFilter,
    ResultFilter,
    WaitsForFilter,
)
from orchestrator_site.console.tasks.page import described
from tasks.models import Task
from tasks.models.task import TaskQuerySet
from tasks.search import SearchTerm
from tasks.states import Priority, Status, TaskVerdict


class TaskAdmin(OffersActions, ReadOnlyModelAdmin):
    list_filter = (
        "status",
        "priority",
        "verdict",
        WaitsForFilter,
        FailureFilter,
        DayFilter,
        ResultFilter,
        ArmFilter,
        ClientFilter,
    )
    # Makes Django show the search box; `get_search_results` does the search.
    search_fields = ("goal",)
    lookups = frozenset(
        {
            "status__exact",
            "priority__exact",
            "verdict__exact",
            "from",
            "to",
            "waits_for",
            "failure",
            "result",
            "arm",
            "client",
        }
    )
    ordering = ("-created_at",)
    # No index serves the other columns.
    sortable_by = ("age",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        """Read only the columns that are shown; a row may hold a megabyte."""
        tasks: QuerySet[Task] = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "tasks_task_changelist":
            return tasks.select_related("client").only(
                "goal", "status", "priority", "verdict", "created_at", "client__name"
            )
        return tasks.select_related("client").defer("goal_words")

    def get_list_display(self, request: HttpRequest) -> Any:
        goal = ["short_goal"] if may_view_content(request) else []
        return (
            "short_id",
            *goal,
            "status_label",
            "priority_label",
            "verdict_label",
            "client_name",
            "age",
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist: ChangeList = super().get_changelist_instance(request)
        terms = ["an id or its first 8 characters"]
        if may_view_receipt(request):
            terms.append("a request id")
        if may_view_content(request):
            terms.append("whole words of the goal")
        changelist.search_help_text = f"Search for {', or '.join(terms)}."
        return changelist

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        """Search only in data that the user may see, so that a search reveals no other words."""
        tasks: TaskQuerySet = queryset
        text = search_term.strip()
        if not text:
            return tasks, False
        found = tasks.matching(
            SearchTerm(text),
            in_goals=may_view_content(request),
            in_receipts=may_view_receipt(request),
        )
        return found, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show a task on a page of our own instead of Django's form."""
        if not self.has_view_permission(request) or request.method == "POST":
            raise PermissionDenied
        task = self.get_object(request, object_id)
        if task is None:
            self.message_user(request, f"There is no task {object_id[:36]}.", messages.WARNING)
            return redirect("admin:tasks_task_changelist")
        context = {
            **self.admin_site.each_context(request),
            **described(task, request),
            "verbs": self.verbs_for(request, task),
            **(extra_context or {}),
            "title": f"Task {str(task.pk)[:8]}",
            "opts": self.opts,
            "preserved_filters": self.get_preserved_filters(request),
        }
        return render(request, "admin/tasks/task/page.html", context)

    @admin.display(description="id")
    def short_id(self, task: Task) -> str:
        return str(task.pk)[:8]

    @admin.display(description="goal")
    def short_goal(self, task: Task) -> str:
        return shortened(task.goal)

    @admin.display(description="status")
    def status_label(self, task: Task) -> str:
        return label(Status(task.status))

    @admin.display(description="priority")
    def priority_label(self, task: Task) -> str:
        return label(Priority(task.priority))

    @admin.display(description="verdict")
    def verdict_label(self, task: Task) -> str:
        return label(TaskVerdict(task.verdict))

    @admin.display(description="client")
    def client_name(self, task: Task) -> str:
        return short_name(task.client.name) if task.client else "anonymous"

    @admin.display(description="age", ordering="created_at")
    def age(self, task: Task) -> str:
        return age(task.created_at, timezone.now())
