"""`manage.py create_key`: an API key for a client, which is made if there is none."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from tasks.clients.exceptions import ClientDisabled
from tasks.clients.scopes import Scope
from tasks.models import Client
from tasks.models.client import validate_client_name

_LIFETIME: Final = re.compile(r"([1-9]\d{0,4})([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


class Command(BaseCommand):
    help = (
        "Print a new API key for CLIENT, and nothing else on standard output. It is shown only "
        "this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client", help="the client's name; it is made if there is none")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=Scope.values,
            help="what the key may do; may be repeated",
        )
        parser.add_argument(
            "--expires-in",
            metavar="TIME",
            type=lifetime,
            help="such as 90d, 12h or 30m; without it, the key works until it is revoked",
        )

    def handle(
        self,
        *args: Any,
        client: str,
        scope: list[str],
        expires_in: timedelta | None,
        **options: Any,
    ) -> None:
        expires_at: datetime | None = timezone.now() + expires_in if expires_in else None
        # Both or neither: a client without a key would be left behind.
        with transaction.atomic():
            owner, is_new = self._client(client)
            try:
                key = owner.make_key([Scope(value) for value in scope], expires_at=expires_at)
            except ClientDisabled as error:
                raise CommandError(
                    f"The client {owner} is disabled. Enable it in the console first."
                ) from error
        if is_new:
            self.stderr.write(f"Made the client {owner}.")
        self.stdout.write(key)

    def _client(self, name: str) -> tuple[Client, bool]:
        try:
            validate_client_name(name)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        try:
            return Client.objects.named(name), False
        except Client.DoesNotExist:
            return Client.objects.add(name), True


def lifetime(text: str) -> timedelta:
    """Return the time in an argument such as `90d`."""
    found = _LIFETIME.fullmatch(text)
    if found is None:
        # argparse shows its own text for this error.
        raise ValueError
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
