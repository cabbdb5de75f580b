"""The console's view of tasks: everything to see, nothing to change."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from safety.models import Receipt
from safety.read_only import ReadOnly, ReadOnlyModelAdmin
from tasks.models import Task, TaskResult


class ResultInline(ReadOnly, admin.TabularInline):
    model = TaskResult
    extra = 0
    fields = ("created_at", "confidence", "result_data")


@admin.register(Task)
class TaskAdmin(ReadOnlyModelAdmin):
    list_display = ("short_goal", "status", "priority", "verdict", "created_at")
    list_filter = ("status", "priority", "verdict", "created_at")
    search_fields = ("id", "goal")
    ordering = ("-created_at",)
    inlines = (ResultInline,)
    readonly_fields = ("receipt",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        """Leave out of the list what may be a megabyte in each row and is not shown there."""
        tasks: QuerySet[Task] = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "tasks_task_changelist":
            return tasks.only("goal", "status", "priority", "verdict", "created_at")
        return tasks

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "id",
            "goal",
            "status",
            "priority",
            "verdict",
            *(["receipt"] if request.user.has_perm("safety.view_receipt") else []),
            "constraints",
            "acceptance_criteria",
            "context",
            "task_metadata",
            "max_cost_usd",
            "max_time_seconds",
            "max_tokens",
            "assigned_arm",
            "created_at",
            "updated_at",
        )

    @admin.display(description="goal", ordering="goal")
    def short_goal(self, task: Task) -> str:
        return task.goal if len(task.goal) <= 80 else f"{task.goal[:79]}…"

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
