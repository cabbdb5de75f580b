"""`make run`: everything the service needs, on one machine, until Ctrl-C."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser

from orchestrator_site.development import interrupts
from orchestrator_site.development.accounts import CLIENT, Account, api_key, staff_account
from orchestrator_site.development.database_choice import DevelopmentCommand
from orchestrator_site.development.moving_line import MovingLine
from orchestrator_site.serving.address import in_url, why_unusable
from safety.gate import gate
from tasks.clients.exceptions import ClientDisabled
from tasks.models import Arm, Worker

# What `make run` starts while no arm is configured. It is one process, but two arms: no arm judges
# its own results.
BUNDLED_ARMS = {
    "bundled": "capability=execute&capability=plan&idempotent=true",
    "bundled-judge": "capability=validate&idempotent=true",
}
START_SECONDS = 60
STOP_SECONDS = 15
POLL_SECONDS = 0.05
WATCH_SECONDS = 0.5


class Command(DevelopmentCommand):
    help = "Run everything for development: database, Reflex Layer, an arm, a worker, web server."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--new-password",
            action="store_true",
            help="give the first staff account a new password",
        )
        parser.add_argument(
            "--new-key",
            action="store_true",
            help=f"make another API key of the client {CLIENT}, with all scopes; its earlier keys "
            "go on working",
        )

    def handle(self, *args: Any, new_password: bool, new_key: bool, **options: Any) -> None:
        if not settings.DEVELOPMENT:
            raise CommandError("This is for development only: start it with `make run`.")
        self.data_place = self.name_database(**options)
        # manage.py turns the stop signals into KeyboardInterrupt.
        try:
            with contextlib.ExitStack() as processes:
                self.run(processes, with_new_password=new_password, with_new_key=new_key)
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")

    def run(
        self, processes: contextlib.ExitStack, *, with_new_password: bool, with_new_key: bool
    ) -> None:
        """Start everything, and wait for Ctrl-C or for a process that ends by itself."""
        _check_port(settings.HOST, settings.PORT)
        if settings.ENABLE_REFLEX_INTEGRATION and settings.IS_REFLEX_URL_GIVEN:
            _check_reflex_layer()
        with MovingLine(sys.stdout) as line:
            line.say("Preparing the tables")
            call_command("migrate", verbosity=0, interactive=False)
            account = staff_account(with_new_password=with_new_password)
            key = _api_key(with_new_key=with_new_key)
            line.say("Starting the Reflex Layer, an arm, a worker and the web server")
            started = self.start(processes)
            self.wait_until_ready(started)
        self.welcome(account, key)
        while all(process.poll() is None for process in started):
            interrupts.check()
            if self.worker.poll() is not None:
                self.replace_worker(processes)
            time.sleep(WATCH_SECONDS)
        raise CommandError("A process of the service ended by itself; see above.")

    def start(self, processes: contextlib.ExitStack) -> list["subprocess.Popen[bytes]"]:
        """Start the web server and a worker, and what is bundled unless others are configured."""
        environment = os.environ | {"ORCHESTRATOR_DATABASE_URL": settings.DATABASE_URL}
        started = []
        if settings.ENABLE_REFLEX_INTEGRATION and not settings.IS_REFLEX_URL_GIVEN:
            reflex_layer, url = _listening(processes, "safety.reflex_layer")
            environment["ORCHESTRATOR_REFLEX_URL"] = url
            started.append(reflex_layer)
        Arm.objects.filter(pk__in=BUNDLED_ARMS).update(is_enabled=not settings.ARMS)
        if not settings.ARMS:
            arm, url = _listening(processes, "tasks.arms.bundled")
            environment["ORCHESTRATOR_ARMS"] = ",".join(
                f"{name}=octollm+{url}?{options}" for name, options in BUNDLED_ARMS.items()
            )
            started.append(arm)
        self.worker_environment = environment
        self.start_worker(processes)
        web = _process(
            "gunicorn",
            "--config",
            "python:orchestrator_site.serving.gunicorn_conf",
            env=environment,
        )
        return [*started, processes.enter_context(web)]

    def start_worker(self, processes: contextlib.ExitStack) -> None:
        worker = _process("manage", "work", env=self.worker_environment)
        self.worker = processes.enter_context(worker)

    def replace_worker(self, processes: contextlib.ExitStack) -> None:
        """Start another worker, as a supervisor would, unless this one never worked."""
        if not Worker.objects.filter(process=self.worker.pid).exists():
            raise CommandError("The worker did not start again; see above.")
        self.stdout.write("The worker ended by itself; another one takes over its tasks.")
        self.stdout.flush()
        self.start_worker(processes)

    def wait_until_ready(self, started: list["subprocess.Popen[bytes]"]) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        answer = ""
        while time.monotonic() < give_up_at:
            interrupts.check()
            if any(process.poll() is not None for process in (*started, self.worker)):
                raise CommandError("A process of the service did not start; see above.")
            with contextlib.suppress(OSError):
                answer = _ask(f"{_address()}/ready")
                is_working = Worker.objects.alive().filter(process=self.worker.pid).exists()
                if '"status":"ready"' in answer and is_working:
                    return
            time.sleep(POLL_SECONDS)
        raise CommandError(
            f"The service was not ready after {START_SECONDS} s. /ready answers: {answer}"
        )

    def welcome(self, account: Account, key: str) -> None:
        address = _address()
        lines = [
            "",
            "The Orchestrator is ready.",
            f"  API            {address}/",
            f"  Documentation  {address}/docs",
            f"  Console        {address}/admin/",
            f"  Metrics        {address}/metrics",
            "  Demo data      make demo, in another terminal",
            f"  Arm            {self.arm_in_words()}",
        ]
        if account.password:
            lines.append(
                f"  Log in as {account.name} with the password {account.password} (shown only "
                "this once)"
            )
        else:
            lines.append(
                f"  Log in as {account.name}; for a new password: make run ARGS=--new-password"
            )
        if key:
            lines.append(f"  API key of the client {CLIENT}: {key} (shown only this once)")
        else:
            lines.append("  For a new API key: make run ARGS=--new-key")
        lines += [f"Ctrl-C stops everything; the data stay in {self.data_place}.", ""]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()

    def arm_in_words(self) -> str:
        if settings.ARMS:
            return ", ".join(arm.name for arm in settings.ARMS)
        return "the bundled one: it finds the sentiment of texts, and has no model (docs/arms.md)"


def _address() -> str:
    """Return the service's URL for a browser on this machine."""
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "::") else settings.HOST  # noqa: S104
    return f"http://{in_url(host)}:{settings.PORT}"


def _check_port(host: str, port: int) -> None:
    if reason := why_unusable(host, port):
        raise CommandError(
            f"Port {port} on {host} cannot be used ({reason}). Set ORCHESTRATOR_PORT to another "
            "one, or stop the process that uses it."
        )


def _check_reflex_layer() -> None:
    if not gate().is_ready(deadline_seconds=settings.REFLEX_DEADLINE_SECONDS):
        raise CommandError(
            "No Reflex Layer is ready at ORCHESTRATOR_REFLEX_URL. Start it, or unset the variable "
            "to use the bundled one."
        )


def _api_key(*, with_new_key: bool) -> str:
    try:
        return api_key(with_new_key=with_new_key)
    except ClientDisabled as error:
        raise CommandError(
            f"The client {CLIENT} is disabled: enable it in the console, or run without --new-key."
        ) from error


def _listening(
    processes: contextlib.ExitStack, module: str
) -> tuple["subprocess.Popen[bytes]", str]:
    """Start a bundled service on a free port of this machine; return its process and URL."""
    listener = processes.enter_context(socket.create_server(("127.0.0.1", 0)))
    port, descriptor = listener.getsockname()[1], listener.fileno()
    process = _process(module, "--fd", str(descriptor), pass_fds=[descriptor])
    return processes.enter_context(process), f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _process(module: str, *arguments: str, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Python module as a process, and stop it at the end of the block."""
    process = subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments],
        cwd=settings.BASE_DIR,
        # Ctrl-C at the terminal reaches only this process, which stops the others in order.
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        # A second, impatient Ctrl-C would leave a process behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
