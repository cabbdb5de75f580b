"""The console: Django's admin under our name."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.functional import SimpleLazyObject

from orchestrator_site.console import signing_in
from orchestrator_site.console.dashboard.page import dashboard
from orchestrator_site.console.decisions.page import decision_page
from orchestrator_site.console.decisions.waiting_list import waiting_list
from orchestrator_site.console.dry_run import dry_run
from orchestrator_site.console.execution.pauses import pause_page
from orchestrator_site.problems import to_response, too_many_requests
from tasks.clients.exceptions import RateLimited
from tasks.models import Pause


class ConsoleSite(AdminSite):
    site_title = site_header = "OctoLLM Orchestrator"
    index_title = "Console"
    # The header of every page links to the few sections.
    enable_nav_sidebar = False

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Let every page warn staff while the screening is switched off, or all calls pause."""
        return {
            **super().each_context(request),
            "is_screening_off": not settings.ENABLE_REFLEX_INTEGRATION,
            # The templates ask for it only if staff are signed in.
            "pause": SimpleLazyObject(Pause.objects.current),
        }

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("dry-run", self.admin_view(self.dry_run), name="dry_run"),
            path("pause", self.admin_view(self.pause), name="pause"),
            path("decisions", self.admin_view(self.decisions), name="decisions"),
            path("decisions/<uuid:step_id>", self.admin_view(self.decision), name="decision"),
            *super().get_urls(),
        ]

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().index(request, {**(extra_context or {}), **dashboard(request)})

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Limit how often somebody may try, and record who did."""
        if request.method != "POST":
            return super().login(request, extra_context)
        try:
            signing_in.count_try(request)
        except RateLimited as error:
            return to_response(request, too_many_requests(error))
        response = super().login(request, extra_context)
        signing_in.record(request, response)
        return response

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Disable the view: no form of the console uses autocompletion."""
        raise Http404

    def dry_run(self, request: HttpRequest) -> HttpResponse:
        return dry_run(request, self.each_context(request))

    def pause(self, request: HttpRequest) -> HttpResponse:
        return pause_page(request, self.each_context(request))

    def decisions(self, request: HttpRequest) -> HttpResponse:
        return waiting_list(request, self.each_context(request))

    def decision(self, request: HttpRequest, step_id: UUID) -> HttpResponse:
        return decision_page(request, self.each_context(request), step_id)
