"""`manage.py revoke_key`: end an API key for good."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tasks.clients.keys import prefix_of
from tasks.models import ApiKey


class Command(BaseCommand):
    help = "Revoke an API key for good, from the next request on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "prefix", help="the 8 characters that follow octollm_, with or without it"
        )
        parser.add_argument("--reason", default="", help="kept with the change")

    def handle(self, *args: Any, prefix: str, reason: str, **options: Any) -> None:
        # Somebody may paste a whole key; only its name is looked at, and shown.
        name = prefix_of(prefix)
        try:
            key = ApiKey.objects.select_related("client").get(prefix=name)
        except ApiKey.DoesNotExist as error:
            raise CommandError(f"There is no key octollm_{name}….") from error
        if not key.client.revoke_key(key, reason=reason):
            raise CommandError(f"The key octollm_{name}… was revoked before.")
        self.stdout.write(f"Revoked the key octollm_{name}… of {key.client}.")
