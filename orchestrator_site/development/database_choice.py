"""The base of the development commands, which use the embedded database by default."""

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from orchestrator_site.database.url import place_of
from orchestrator_site.development.embedded import DATABASE_FROM_ENVIRONMENT


class DevelopmentCommand(BaseCommand):
    """A command that uses ORCHESTRATOR_DATABASE_URL only with the option; else it is hidden."""

    # The database may not have its tables yet.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            DATABASE_FROM_ENVIRONMENT,
            action="store_true",
            help="use the database of ORCHESTRATOR_DATABASE_URL instead of the embedded one",
        )

    def name_database(self, **options: Any) -> str:
        """Return where the data are kept; name the database first if it is not the embedded one."""
        if not options["database_from_environment"]:
            return f"{settings.DATA_DIR.name}/"
        if not settings.IS_DATABASE_URL_GIVEN:
            raise CommandError(
                f"{DATABASE_FROM_ENVIRONMENT} needs ORCHESTRATOR_DATABASE_URL, which is not set."
            )
        place = place_of(settings.DATABASES["default"])
        self.stdout.write(f"Using the database of ORCHESTRATOR_DATABASE_URL: {place}")
        self.stdout.flush()
        return place
