"""The console: Django's admin under our name."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest


class ConsoleSite(AdminSite):
    site_title = site_header = "OctoLLM Orchestrator"
    index_title = "Console"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Let every page say that nothing is screened."""
        return {
            **super().each_context(request),
            "is_screening_off": not settings.ENABLE_REFLEX_INTEGRATION,
        }


class ConsoleConfig(AdminConfig):
    default_site = "orchestrator_site.console.ConsoleSite"
