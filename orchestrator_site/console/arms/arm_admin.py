"""The console's list of arms, the page of an arm, and the forms that register and change one."""

import logging
from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from orchestrator_site.console.arms.figures import figures
from orchestrator_site.console.arms.forms import ArmForm, NewArmForm, as_given
from orchestrator_site.console.arms.states import state_label
from orchestrator_site.console.lists.read_only import BoundedChangeList, ReadOnlyModelAdmin
from orchestrator_site.console.permissions import may_manage_arms
from orchestrator_site.variables import PREFIX
from tasks.arms.declared import secret_variable
from tasks.arms.description import Health
from tasks.execution.parked import ring_parked
from tasks.execution.ringing import ring_check
from tasks.models import Arm
from tasks.models.execution.arm import MAX_ARMS, TooManyArms

# The registry has as many at most.
PER_PAGE: Final = MAX_ARMS

logger = logging.getLogger(__name__)


class ArmList(BoundedChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counted = figures([arm.pk for arm in self.result_list])
        for arm in self.result_list:
            arm.figures = counted[arm.pk]


class ArmAdmin(ReadOnlyModelAdmin):
    list_display = (
        "name",
        "state",
        "protocol",
        "can",
        "busy",
        "calls_last_hour",
        "failures_last_hour",
        "dollars_today",
    )
    list_per_page = PER_PAGE
    ordering = ("name",)
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ArmList]:
        return ArmList

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_manage_arms(request)

    @admin.display(description="state")
    def state(self, arm: Arm) -> str:
        return state_label(arm)

    @admin.display(description="can")
    def can(self, arm: Arm) -> str:
        return ", ".join(arm.capabilities)

    @admin.display(description="calls now (room)")
    def busy(self, arm: Any) -> str:
        return f"{arm.figures.busy} ({arm.room})"

    @admin.display(description="calls, last hour")
    def calls_last_hour(self, arm: Any) -> str:
        return str(arm.figures.calls)

    @admin.display(description="failed, last hour")
    def failures_last_hour(self, arm: Any) -> str:
        return str(arm.figures.failures)

    @admin.display(description="dollars, today")
    def dollars_today(self, arm: Any) -> str:
        return str(arm.figures.dollars)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewArmForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            name = form.cleaned_data["name"]
            if self._store(request, form, name):
                _log(request, name, "register")
                self.message_user(request, f"Registered {name}. Its health is asked for now.")
                return redirect("admin:tasks_arm_change", name)
        context = {**self._context(request, "Register an arm"), "form": form}
        return render(request, "admin/tasks/arm/add.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        arm = self.get_object(request, object_id)
        if arm is None:
            self.message_user(request, "There is no such arm.", messages.WARNING)
            return redirect("admin:tasks_arm_changelist")
        if request.method == "POST":
            if not may_manage_arms(request):
                raise PermissionDenied
            return self._do(request, arm)
        return self._show(request, arm, ArmForm(initial=as_given(arm)))

    def _do(self, request: HttpRequest, arm: Arm) -> HttpResponse:
        match request.POST.get("step"):
            case "change":
                form = ArmForm(request.POST)
                if not form.is_valid() or not self._store(request, form, arm.pk):
                    return self._show(request, arm, form)
                text = f"Changed {arm}."
            case "enable":
                with transaction.atomic():
                    arm.enable()
                    _tell_workers(arm.pk)
                text = f"Enabled {arm}. Its health is asked for now."
            case "disable":
                arm.disable()
                text = f"Disabled {arm}: it gets no new calls. Those that it works on may end."
            case _:
                raise BadRequest("unknown step")
        _log(request, arm.pk, request.POST["step"])
        self.message_user(request, text)
        return redirect("admin:tasks_arm_change", arm.pk)

    def _store(self, request: HttpRequest, form: ArmForm, name: str) -> bool:
        """Store the arm of a valid form; return False with the fault in the form if it is full."""
        try:
            with transaction.atomic():
                Arm.objects.declare([form.described(name)])
                _tell_workers(name)
        except TooManyArms:
            form.add_error(None, f"There are {MAX_ARMS} arms already, and no more can be added.")
            return False
        return True

    def _show(self, request: HttpRequest, arm: Arm, form: ArmForm) -> HttpResponse:
        context = {
            **self._context(request, arm.name),
            "arm": arm,
            "state": state_label(arm),
            "is_misconfigured": arm.health == Health.MISCONFIGURED,
            "figures": figures([arm.pk])[arm.pk],
            "secret": f"{PREFIX}{secret_variable(arm.name)}",
            "is_declared": arm.name in {declared.name for declared in settings.ARMS},
            "prices": [
                f"{price.normalize():f}"
                for price in (arm.usd_per_million_input, arm.usd_per_million_output)
            ],
            "form": form,
        }
        return render(request, "admin/tasks/arm/page.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts}


def _log(request: HttpRequest, arm: str, step: str) -> None:
    actor = request.user.get_username()
    logger.info("Staff changed an arm", extra={"arm": arm, "step": step, "actor": actor})


def _tell_workers(name: str) -> None:
    """Let a worker ask the arm for its health, and others take what waited for the arm."""
    ring_check(name)
    ring_parked(arm=name)
