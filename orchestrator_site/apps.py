import logging

from django.apps import AppConfig
from django.conf import settings

logger = logging.getLogger(__name__)


class OrchestratorSiteConfig(AppConfig):
    name = "orchestrator_site"

    def ready(self) -> None:
        if not settings.ENABLE_REFLEX_INTEGRATION:
            logger.warning(
                "The Reflex Layer integration is switched off: tasks are accepted unscreened"
            )
