"""The console's actions on tasks: the offer, the preview, the confirmation, and the progress.

Workers carry an action out; its page only shows how far they are.
"""

import contextlib
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from orchestrator_site.console.formats import label, shortened
from orchestrator_site.console.lists.read_only import ReadOnlyModelAdmin
from orchestrator_site.console.permissions import may_operate, may_view_content
from orchestrator_site.console.reasons import reason_field
from tasks import bulk
from tasks.models import Action, Task, Worker
from tasks.models.action import VERBS, Verb, count_of_tasks
from tasks.states import Priority, Status

# How many tasks of an action its page lists.
MAX_TASKS_SHOWN: Final = 20


class OffersActions(admin.ModelAdmin):
    """Offers the verbs in the list and on the page of a task, to staff who may operate tasks."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if not may_operate(request):
            return {}
        return {name: (partial(_choose, verb), name, verb.label) for name, verb in VERBS.items()}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        # Only actions are posted to the list.
        if request.method == "POST" and not may_operate(request):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any) -> Any:
        """Include ticked tasks that have left the filter; the preview says why they are skipped."""
        if request.POST.get("select_across") != "1":
            ticked = request.POST.getlist(ACTION_CHECKBOX_NAME)
            queryset = self.get_queryset(request).filter(pk__in=ticked)
        return super().response_action(request, queryset, *args)

    def verbs_for(self, request: HttpRequest, task: Task) -> list[Verb]:
        """Return the verbs that would change this task."""
        return bulk.verbs_for(task) if may_operate(request) else []


def _choose(
    verb: Verb, model_admin: admin.ModelAdmin, request: HttpRequest, tasks: QuerySet[Task]
) -> HttpResponse | None:
    """Store an action on these tasks, and redirect to its page, where staff confirm it."""
    ids = list(tasks.order_by().values_list("pk", flat=True)[: bulk.MAX_CHOSEN + 1])
    if not ids:
        model_admin.message_user(request, "There are no such tasks.", messages.WARNING)
        return None
    if len(ids) > bulk.MAX_CHOSEN:
        model_admin.message_user(
            request,
            f"More than {count_of_tasks(bulk.MAX_CHOSEN)} are chosen, and nothing was done. Narrow "
            "the filter, to a day for instance.",
            messages.WARNING,
        )
        return None
    action = bulk.choose(ids, verb, actor=request.user.get_username())
    page = reverse("admin:tasks_action_change", args=[action.pk])
    filters = model_admin.get_preserved_filters(request)
    return HttpResponseRedirect(f"{page}?{filters}" if filters else page)


class ConfirmationForm(forms.Form):
    """Why staff act; and if tasks of the action need it, whether their effect may happen twice."""

    reason = reason_field(help_text="Shown in the timeline of each task.")

    def __init__(self, data: Any = None, *, preview: bulk.Preview) -> None:
        super().__init__(data)
        if not preview.unknown:
            return
        unknown = count_of_tasks(preview.unknown)
        self.fields["includes_unknown"] = forms.BooleanField(
            label=f"Requeue {unknown} with an unknown outcome too",
            help_text="An arm may have carried them out already. Their effect may happen twice.",
            # Without it, there may be nothing to do.
            required=not preview.to_change,
            error_messages={"required": "Nothing changes unless you tick this box."},
        )


class ActionAdmin(ReadOnlyModelAdmin):
    """The list of past actions, and the page on which staff confirm an action and follow it."""

    list_display = ("time", "verb", "actor", "reason_as_text", "chosen", "changed", "state")
    # The list is short, and no index serves its columns.
    sortable_by = ()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_operate(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        actions: Any = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "tasks_action_changelist":
            return actions.confirmed()
        return actions.seen_by(request.user.get_username())

    @admin.display(description="time (UTC)")
    def time(self, action: Action) -> str:
        return f"{action.confirmed_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="reason")
    def reason_as_text(self, action: Action) -> str:
        return format_html("<bdi>{}</bdi>", action.reason)

    @admin.display(description="state")
    def state(self, action: Action) -> str:
        if not action.is_ended:
            return "waiting" if action.worked_at is None else "running"
        return "stopped" if action.is_stopped else "done"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not may_operate(request):
            raise PermissionDenied
        action = self.get_object(request, unquote(object_id))
        # An action that was not confirmed within a day may be deleted at any moment.
        with contextlib.suppress(Action.DoesNotExist):
            if action is not None:
                return self._answer(request, action)
        text = "There is no such action. Unconfirmed actions are deleted after a day."
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(reverse("admin:tasks_action_changelist"))

    def _answer(self, request: HttpRequest, action: Action) -> HttpResponse:
        if request.method != "POST":
            return self._page(request, action)
        match request.POST.get("step"):
            case "confirm":
                return self._confirm(request, action)
            case "stop":
                action.stop()
            case _:
                raise BadRequest("unknown step")
        return HttpResponseRedirect(request.get_full_path())

    def _confirm(self, request: HttpRequest, action: Action) -> HttpResponse:
        """Hand the action to the workers; if the form was sent before, only say so."""
        form = None
        if not action.is_confirmed:
            form = ConfirmationForm(request.POST, preview=bulk.preview(action))
            if not form.is_valid():
                return self._page(request, action, form)
        if form is None or not bulk.confirm(action, **form.cleaned_data):
            text = "This action was already confirmed. Nothing was done twice."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(request.get_full_path())

    def _page(
        self, request: HttpRequest, action: Action, form: ConfirmationForm | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": str(action),
            "opts": self.opts,
            "action": action,
            "came_from": _came_from(request, action),
            "tasks": _first_tasks(action, with_goals=may_view_content(request)),
            **(_progress(action) if action.is_confirmed else _preview(action, form)),
        }
        return TemplateResponse(request, "admin/tasks/action/page.html", context)


def _progress(action: Action) -> dict[str, Any]:
    return {
        "report": bulk.report(action),
        "is_worker_missing": not action.is_ended and not Worker.objects.alive().exists(),
    }


def _preview(action: Action, form: ConfirmationForm | None) -> dict[str, Any]:
    preview = bulk.preview(action)
    return {
        "form": form or ConfirmationForm(preview=preview),
        "has_anything_to_do": preview.to_change + preview.unknown > 0,
        "promise": bulk.promise(action, preview),
        "skipped": [(count_of_tasks(count), why) for why, count in preview.obstacles.items()],
    }


def _first_tasks(action: Action, *, with_goals: bool) -> list[dict[str, Any]]:
    """Return the first tasks of the action as they are now, so that staff recognise them."""
    ids = action.ids(0, MAX_TASKS_SHOWN)
    tasks = Task.objects.only("status", "priority", *(["goal"] if with_goals else []))
    found = tasks.in_bulk(ids)
    return [
        {
            "id": task.pk,
            "status": label(Status(task.status)),
            "priority": label(Priority(task.priority)),
            "goal": shortened(task.goal) if with_goals else "",
        }
        for task in (found[task_id] for task_id in ids if task_id in found)
    ]


def _came_from(request: HttpRequest, action: Action) -> str:
    """Return the URL of the task if the action has only one, else of the list with its filter."""
    if action.chosen == 1:
        return reverse("admin:tasks_task_change", args=action.task_ids)
    tasks = reverse("admin:tasks_task_changelist")
    filters = request.GET.get("_changelist_filters")
    return f"{tasks}?{filters}" if filters else tasks
