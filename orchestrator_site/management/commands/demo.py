"""`make demo`: a console with a month of work in it, instead of an empty one."""

from random import Random
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import connection
from django.utils import timezone

from orchestrator_site.development import interrupts
from orchestrator_site.development.database_choice import DevelopmentCommand
from orchestrator_site.development.demo.runs import make_surroundings
from orchestrator_site.development.demo.storing import holds_other_tasks, is_in_use, store, tidy_up
from orchestrator_site.development.demo.submissions import submissions
from orchestrator_site.development.demo.texts import STORY, WORKS
from orchestrator_site.readiness import missing_migrations
from tasks.models import Task


class Command(DevelopmentCommand):
    help = "Fill the database with believable tasks of the last 30 days, for development."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tasks", type=int, default=1_000, metavar="N", help="how many")
        parser.add_argument(
            "--seed",
            type=int,
            default=0,
            metavar="N",
            help="another one makes other tasks; the same makes the same, at other ids",
        )

    def handle(self, *args: Any, tasks: int, seed: int, **options: Any) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("This is for development only: start it with `make demo`.")
        if tasks < 1:
            raise CommandError("--tasks must be at least 1.")
        place = self.name_database(**options)
        if options["database_from_environment"] and is_in_use():
            _check(place)
        call_command("migrate", verbosity=0, interactive=False)
        self._fill(tasks, seed)

    def _fill(self, tasks: int, seed: int) -> None:
        # Production does without this package.
        from tqdm import tqdm  # noqa: PLC0415

        before = Task.objects.count()
        make_surroundings({work.arm for work in (STORY, *WORKS)}, timezone.now())
        # A second run adds tasks, and not the same ones again.
        random = Random(f"{seed} after {before}")  # noqa: S311 - no secrets
        # manage.py turns the signals to stop into KeyboardInterrupt.
        try:
            # On a terminal only.
            with tqdm(total=tasks, unit=" tasks", disable=None) as bar:
                for count in store(submissions(tasks, timezone.now(), random)):
                    bar.update(count)
                    # Python may have dropped the exception of a signal.
                    interrupts.check()
            tidy_up()
        except KeyboardInterrupt:
            # Asked for, since the last transaction may have been committed unseen; on another
            # connection, since this one may be in the middle of a statement.
            connection.close()
            stored = Task.objects.count() - before
            self.stdout.write(f"Stopped: {stored:,} tasks are stored.")
        else:
            self.stdout.write(f"{tasks:,} tasks are stored.")


def _check(place: str) -> None:
    """Refuse a database of others: demonstration tasks could never be deleted from it."""
    if missing_migrations():
        raise CommandError(f"{place} is not up to date: run `make migrate` first.")
    if holds_other_tasks():
        raise CommandError(f"{place} holds tasks that `demo` has not made. Nothing was stored.")
