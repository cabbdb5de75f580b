"""Filters of the console's list of tasks."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from orchestrator_site.console.execution.waiting import REASONS, steps_that_wait_for
from orchestrator_site.console.formats import failure_name
from orchestrator_site.console.lists.filters import FormFilter, Input
from tasks.execution.failures import FailureCode
from tasks.models import Run, Step, Task
from tasks.models.task import TaskQuerySet
from tasks.states import Status

# No index has the codes of all times.
FAILURES_OF: Final = timedelta(days=7)


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


class WaitsForFilter(admin.SimpleListFilter):
    """The tasks that wait for something, or for a time."""

    title = "what it waits for"
    parameter_name = "waits_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(reason, name.capitalize()) for reason, name in REASONS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Task]:
        tasks: TaskQuerySet = queryset
        reason = self.value()
        if reason is None:
            return tasks
        steps = Step.objects.filter(steps_that_wait_for(reason))
        # Only these wait. Without the statuses, PostgreSQL might read all tasks, newest first.
        unfinished = tasks.filter(status__in=[Status.PENDING, Status.PROCESSING])
        return unfinished.filter(pk__in=steps.values("task_id"))


class FailureFilter(admin.SimpleListFilter):
    """The tasks whose last run failed lately, by the code of the failure."""

    title = "failure of the last 7 days"
    parameter_name = "failure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code.value, failure_name(code)) for code in FailureCode]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Task]:
        tasks: TaskQuerySet = queryset
        code = self.value()
        if code is None:
            return tasks
        later = Run.objects.filter(task=OuterRef("task"), number__gt=OuterRef("number"))
        runs = Run.objects.filter(
            ~Exists(later), failure_code=FailureCode(code), ended_at__gte=Now() - FAILURES_OF
        )
        return tasks.filter(status=Status.FAILED, pk__in=runs.values("task_id"))
