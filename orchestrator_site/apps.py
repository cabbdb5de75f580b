import logging

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_migrate

from orchestrator_site.database.privileges import grant_to_service

logger = logging.getLogger(__name__)


class OrchestratorSiteConfig(AppConfig):
    name = "orchestrator_site"

    def ready(self) -> None:
        # Once for each `migrate`, and Django sends it for applications that have models.
        post_migrate.connect(grant_to_service, sender=apps.get_app_config("tasks"))
        if not settings.ENABLE_REFLEX_INTEGRATION:
            logger.warning(
                "The Reflex Layer integration is switched off: tasks are accepted unscreened"
            )
