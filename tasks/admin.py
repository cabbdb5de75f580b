"""The console's view of tasks: everything to see, nothing to change."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from safety.filters import DayFilter
from safety.models import Receipt
from safety.read_only import ReadOnly, ReadOnlyModelAdmin
from tasks.display import age, formatted_json, label, shortened, whole
from tasks.filters import ArmFilter, ResultFilter
from tasks.models import Priority, Status, Task, TaskQuerySet, TaskResult, Verdict
from tasks.search import SearchTerm


class ResultInline(ReadOnly, admin.TabularInline):
    model = TaskResult
    extra = 0
    fields = readonly_fields = ("created_at", "confidence", "data")
    ordering = ("-created_at", "-id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("tasks.view_task_content")

    @admin.display(description="result data")
    def data(self, result: TaskResult) -> str:
        return formatted_json(result.result_data)


@admin.register(Task)
class TaskAdmin(ReadOnlyModelAdmin):
    list_display = (
        "short_id",
        "short_goal",
        "status_label",
        "priority_label",
        "verdict_label",
        "age",
    )
    list_filter = ("status", "priority", "verdict", DayFilter, ResultFilter, ArmFilter)
    # Shows the box; `get_search_results` says what is searched.
    search_fields = ("goal",)
    search_help_text = "An id or its first 8 characters, a request id, or words of the goal."
    ordering = ("-created_at",)
    # No index serves the others.
    sortable_by = ("age",)
    inlines = (ResultInline,)
    readonly_fields = (
        "whole_goal",
        "status_label",
        "priority_label",
        "verdict_label",
        "receipt",
        "formatted_constraints",
        "formatted_acceptance_criteria",
        "formatted_context",
        "formatted_metadata",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        """Leave out what is not shown: of the list, what may be a megabyte in each row."""
        tasks: QuerySet[Task] = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "tasks_task_changelist":
            return tasks.only("goal", "status", "priority", "verdict", "created_at")
        return tasks.defer("goal_words")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        tasks: TaskQuerySet = queryset
        text = search_term.strip()
        return (tasks.matching(SearchTerm(text)) if text else tasks), False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "id",
            "whole_goal",
            "status_label",
            "priority_label",
            "verdict_label",
            *(["receipt"] if request.user.has_perm("safety.view_receipt") else []),
            "formatted_constraints",
            "formatted_acceptance_criteria",
            "formatted_context",
            "formatted_metadata",
            "max_cost_usd",
            "max_time_seconds",
            "max_tokens",
            "assigned_arm",
            "created_at",
            "updated_at",
        )

    @admin.display(description="id")
    def short_id(self, task: Task) -> str:
        return str(task.pk)[:8]

    @admin.display(description="goal")
    def short_goal(self, task: Task) -> str:
        return shortened(task.goal)

    @admin.display(description="goal")
    def whole_goal(self, task: Task) -> str:
        return whole(task.goal)

    @admin.display(description="status")
    def status_label(self, task: Task) -> str:
        return label(Status(task.status))

    @admin.display(description="priority")
    def priority_label(self, task: Task) -> str:
        return label(Priority(task.priority))

    @admin.display(description="verdict")
    def verdict_label(self, task: Task) -> str:
        return label(Verdict(task.verdict))

    @admin.display(description="age", ordering="created_at")
    def age(self, task: Task) -> str:
        return age(task.created_at, timezone.now())

    @admin.display(description="constraints")
    def formatted_constraints(self, task: Task) -> str:
        return formatted_json(task.constraints)

    @admin.display(description="acceptance criteria")
    def formatted_acceptance_criteria(self, task: Task) -> str:
        return formatted_json(task.acceptance_criteria)

    @admin.display(description="context")
    def formatted_context(self, task: Task) -> str:
        return formatted_json(task.context)

    @admin.display(description="metadata")
    def formatted_metadata(self, task: Task) -> str:
        return formatted_json(task.task_metadata)

    @admin.display(description="safety receipt")
    def receipt(self, task: Task) -> str:
        # They have the same id.
        receipt = Receipt.objects.filter(pk=task.pk).first()
        if receipt is None:
            return "none: it did not come by the gate"
        return format_html(
            '{}; {} <a href="{}">See the receipt</a>',
            receipt.get_verdict_display(),
            _findings_in_short(receipt),
            reverse("admin:safety_receipt_change", args=[receipt.pk]),
        )


def _findings_in_short(receipt: Receipt) -> str:
    if not receipt.types:
        return "nothing found."
    found = f"found: {', '.join(receipt.types)}"
    if receipt.redacted_types:
        found += f"; redacted: {', '.join(receipt.redacted_types)}"
    return f"{found}."
