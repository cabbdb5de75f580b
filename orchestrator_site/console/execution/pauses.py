"""The page with the switch that pauses all new calls."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from orchestrator_site.console.reasons import reason_field
from tasks.models import Pause

MAX_PAUSES: Final = 20


class PauseForm(forms.Form):
    reason = reason_field(help_text="Shown on every page while the pause goes on.")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("tasks.operate_task", raise_exception=True)
def pause_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the switch and past pauses; begin or end a pause."""
    form = PauseForm()
    if request.method == "POST":
        actor = request.user.get_username()
        match request.POST.get("step"):
            case "begin":
                form = PauseForm(request.POST)
                if form.is_valid():
                    is_done = Pause.objects.begin(actor=actor, **form.cleaned_data)
                    return _told(request, "No new call begins from now on.", is_done)
            case "end":
                is_done = Pause.objects.end(actor=actor)
                return _told(request, "Calls begin again.", is_done)
            case _:
                raise BadRequest("unknown step")
    pauses = Pause.objects.order_by("-id")[:MAX_PAUSES]
    context |= {"title": "Pause all calls", "form": form, "pauses": pauses}
    return render(request, "admin/pause.html", context)


def _told(request: HttpRequest, text: str, is_done: bool) -> HttpResponse:
    if is_done:
        messages.success(request, text)
    else:
        messages.warning(request, "That was done before.")
    return redirect("admin:pause")
