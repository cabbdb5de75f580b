"""The AppConfig that makes our console the admin's default site.

Django imports it before any model, so it must not import the console, which needs models.
"""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "orchestrator_site.console.site.ConsoleSite"
