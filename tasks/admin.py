"""The console's view of tasks: everything to see, nothing to change."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError
from django.http import HttpRequest

from tasks.models import Task, TaskResult


class ReadOnly:
    """Takes away everything but the view permission."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class ResultInline(ReadOnly, admin.TabularInline):
    model = TaskResult
    extra = 0
    fields = ("created_at", "confidence", "result_data")


@admin.register(Task)
class TaskAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("short_goal", "status", "priority", "verdict", "created_at")
    list_filter = ("status", "priority", "verdict", "created_at")
    search_fields = ("id", "goal")
    ordering = ("-created_at",)
    inlines = (ResultInline,)
    # It would count the whole table on every page.
    show_full_result_count = False
    fields = (
        "id",
        "goal",
        "status",
        "priority",
        "verdict",
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

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Show all tasks where a filter of the URL makes no sense, as Django does for most."""
        try:
            return super().get_changelist_instance(request)
        except (DataError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error

    @admin.display(description="goal", ordering="goal")
    def short_goal(self, task: Task) -> str:
        return task.goal if len(task.goal) <= 80 else f"{task.goal[:79]}…"
