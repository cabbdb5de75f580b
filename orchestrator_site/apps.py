from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.db.models.signals import post_migrate

from orchestrator_site.console.staff_names import validate_staff_name
from orchestrator_site.database.privileges import grant_to_service


class OrchestratorSiteConfig(AppConfig):
    name = "orchestrator_site"

    def ready(self) -> None:
        # Django sends this signal once for each application that has models. One sender is
        # enough: the receiver then runs once for each `migrate`.
        post_migrate.connect(grant_to_service, sender=apps.get_app_config("tasks"))
        # On the field, because both forms and `createsuperuser` run its validators.
        get_user_model()._meta.get_field("username").validators.append(validate_staff_name)
