"""`manage.py work`: one worker in the foreground, until a signal."""

import contextlib
import functools
import sys
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError

from orchestrator_site import VERSION
from orchestrator_site.database.url import use_database_url
from orchestrator_site.database.waiting import database_allowance
from orchestrator_site.serving.worker_metrics import serve_worker_metrics
from safety.gate import answer_gate
from tasks.arms.connections import Connections
from tasks.execution.ringing import ring_check
from tasks.execution.worker.process import Options, Process
from tasks.models import Arm
from tasks.models.execution.arm import TooManyArms


class Command(BaseCommand):
    help = "Run a worker, which carries tasks out by calling arms, until Ctrl-C or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.WORKER_DATABASE_URL:
            use_database_url(settings.WORKER_DATABASE_URL)
        try:
            Arm.objects.declare(settings.ARMS)
        except TooManyArms as error:
            raise CommandError(
                "ORCHESTRATOR_ARMS names more arms than can be registered."
            ) from error
        connections = Connections(
            settings.ARM_SECRETS,
            failures=settings.CIRCUIT_FAILURES,
            reset_seconds=settings.CIRCUIT_RESET_SECONDS,
            on_change=_ask_for_health,
        )
        process = Process(
            Options(
                concurrency=settings.WORKER_CONCURRENCY,
                drain_seconds=settings.WORKER_DRAIN_SECONDS,
                max_cost_usd_per_day=settings.MAX_COST_USD_PER_DAY,
                version=VERSION,
                runs=settings.RUN_OPTIONS,
            ),
            adapter_of=connections.of,
            gate=answer_gate(),
            allowance=functools.partial(database_allowance, settings.DATABASE_TIMEOUT_SECONDS),
        )
        if port := settings.WORKER_METRICS_PORT:
            try:
                serve_worker_metrics(settings.HOST, port, process)
            except OSError as error:
                raise CommandError(
                    f"Port {port} on {settings.HOST} cannot be used. Set "
                    "ORCHESTRATOR_WORKER_METRICS_PORT to another one, or stop the process that "
                    "uses it."
                ) from error
        sys.exit(process.run())


def _ask_for_health(arm: str, is_open: bool) -> None:
    """Let the registry learn that a circuit opened or closed."""
    with contextlib.suppress(DatabaseError), database_allowance(settings.DATABASE_TIMEOUT_SECONDS):
        ring_check(arm)
