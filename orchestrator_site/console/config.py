"""Names the console to Django, before there are models; the console itself shows some."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "orchestrator_site.console.site.ConsoleSite"
