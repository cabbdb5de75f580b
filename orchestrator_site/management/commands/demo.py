"""`make demo`: a console with a month of work in it, instead of an empty one."""

from random import Random
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.utils import timezone

from orchestrator_site.development.database_choice import DevelopmentCommand
from orchestrator_site.development.demo.progress import Progress
from orchestrator_site.development.demo.storing import holds_other_tasks, store, tidy_up
from orchestrator_site.development.demo.submissions import submissions
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
        # Tasks cannot be deleted: where clients have some, demonstration tasks would stay for good.
        if options["database_from_environment"] and holds_other_tasks():
            raise CommandError(f"{place} holds tasks that `demo` has not made. Nothing was stored.")
        call_command("migrate", verbosity=0, interactive=False)
        # Whoever runs it once more wants more tasks, and not the same ones again.
        random = Random(f"{seed} after {Task.objects.count()}")  # noqa: S311 - no secrets
        progress = Progress(tasks, "tasks", is_terminal=self.stdout.isatty())
        stored = 0
        # manage.py turns the signals to stop into KeyboardInterrupt.
        try:
            for stored in store(submissions(tasks, timezone.now(), random)):
                self.stdout.write(progress.after(stored), ending="")
                self.stdout.flush()
            tidy_up()
        except KeyboardInterrupt:
            self.stdout.write(f"\nStopped: {stored:,} tasks are stored.")
