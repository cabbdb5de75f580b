"""Filters of the console's list of tasks."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from orchestrator_site.console.lists.filters import FormFilter, Input
from tasks.models import Task
from tasks.models.task import TaskQuerySet


class ArmFilter(FormFilter):
    """One arm, by its name; a list of all names would have to read every task."""

    title = "arm"
    inputs = (Input("arm", "Name", "text"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        arm = self.given("arm")
        return queryset.filter(assigned_arm=arm) if arm else queryset


class ResultFilter(admin.SimpleListFilter):
    title = "result"
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Task]:
        tasks: TaskQuerySet = queryset
        match self.value():
            case None:
                return tasks
            case "yes":
                return tasks.with_result()
            case "no":
                return tasks.without_result()
        raise ValueError("neither yes nor no")
