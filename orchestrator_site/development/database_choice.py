"""Commands for development, which use the embedded database unless they are told otherwise."""

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from orchestrator_site.database.url import place_of
from orchestrator_site.development.embedded import DATABASE_FROM_ENVIRONMENT


class DevelopmentCommand(BaseCommand):
    """`manage.py` hides the database of the environment from it, but for the option."""

    # The database may still be without its tables.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            DATABASE_FROM_ENVIRONMENT,
            action="store_true",
            help="use the database of ORCHESTRATOR_DATABASE_URL instead of the embedded one",
        )

    def name_database(self, **options: Any) -> str:
        """Say first which database of the environment is used; return where the data stay."""
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
