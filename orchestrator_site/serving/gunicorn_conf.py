"""How gunicorn serves the Orchestrator; the numbers come from the settings."""

import atexit
import contextlib
import gc
import logging.config
import os
import resource
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orchestrator_site.observability.log import logging_settings
from orchestrator_site.serving.address import in_url, why_unusable
from orchestrator_site.serving.master import Master
from orchestrator_site.serving.queueing import CONSOLE_THREADS

try:
    from orchestrator_site import settings
except ImproperlyConfigured as error:
    logging.config.dictConfig(logging_settings("INFO"))
    for fault in str(error).splitlines():
        logging.getLogger(__name__).error("Wrong setting", extra={"fault": fault})
    sys.exit(1)


# What a thread waits for the next part of a request.
RECEIVE_SECONDS = 5
# For all that is no client's connection: to the database, the Reflex Layer, logs, metrics.
OTHER_FILES = 100


def _remove(folder: str, owner: int) -> None:
    """Remove `folder` at the end of the process that made it, not of a worker it forked."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _connections_within_files() -> int:
    """Return how many connections a process may have; let it open as many files if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < (wanted := MAX_CONNECTIONS + OTHER_FILES):
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(settings.THREADS, min(MAX_CONNECTIONS, soft - OTHER_FILES))


logging.config.dictConfig(settings.LOGGING)
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    try:
        _own_dir = tempfile.mkdtemp(prefix="orchestrator-metrics-")
        atexit.register(_remove, _own_dir, os.getpid())
    except OSError:
        # Nothing can be written there, which is logged as for any folder.
        _own_dir = os.devnull
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _own_dir

# prometheus_client decides at its import whether there are many processes.
from prometheus_client.multiprocess import mark_process_dead  # noqa: E402

from orchestrator_site.observability.metrics_files import use_metrics_files  # noqa: E402

use_metrics_files()

from orchestrator_site.serving.worker import MAX_CONNECTIONS  # noqa: E402
from safety.gate import gate  # noqa: E402

wsgi_app = "orchestrator_site.wsgi:application"
bind = f"{in_url(settings.HOST)}:{settings.PORT}"
workers = settings.WORKERS
worker_class = "orchestrator_site.serving.worker.Worker"
threads = settings.THREADS + CONSOLE_THREADS
worker_connections = _connections_within_files()
# In development code is loaded anew when it changes; else once, before the workers fork.
reload = settings.DEVELOPMENT
preload_app = not settings.DEVELOPMENT
logconfig_dict = settings.LOGGING
logger_class = "orchestrator_site.serving.gunicorn_log.Logger"
# A reverse proxy keeps its connections for about as long as it likes.
keepalive = 75
graceful_timeout = 30
control_socket_disable = True
# gunicorn would let any process of this machine move the service below another path by a header.
forwarder_headers = ""
if Path("/dev/shm").is_dir():  # noqa: S108
    # Workers show there that they live; on a disk, a busy one could make them look dead.
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def on_starting(server: Any) -> None:
    """Say in one line if the address cannot be used, and begin with empty counts."""
    server.__class__ = Master
    if server.cfg.bind == [bind] and (reason := why_unusable(settings.HOST, settings.PORT)):
        server.log.error(
            "Cannot listen: set ORCHESTRATOR_HOST and ORCHESTRATOR_PORT to an address that is "
            "this machine's and free",
            extra={"address": bind, "reason": reason},
        )
        sys.exit(1)
    # Files of an earlier run would add to ours.
    with contextlib.suppress(OSError):
        for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db"):
            file.unlink()


def when_ready(server: Any) -> None:
    """Prepare what all workers inherit."""
    # What is loaded by now stays. Python would go through it in search of garbage in each
    # worker anew, which also copies its memory: half a second in which nobody is served.
    gc.collect()
    gc.freeze()
    for listener in server.LISTENERS:
        _bound_receiving(listener.sock)


def _bound_receiving(listener: socket.socket) -> None:
    """Let no sender hold a thread for long without sending, where the system is Linux.

    The sockets of connections have it from the listening one that what is silent is not
    accepted, and that who stops in the middle is given up. Against who goes on slowly, only a
    proxy helps.
    """
    if sys.platform == "linux" and listener.family != socket.AF_UNIX:
        seconds = struct.pack("ll", RECEIVE_SECONDS, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, RECEIVE_SECONDS)


def post_fork(server: Any, worker: Any) -> None:
    """Let the worker see the signals that come before its own handlers."""
    worker.signals = server.SIG_QUEUE


def post_worker_init(worker: Any) -> None:
    """Make the gate before the first request needs it, which shows the circuit's state too.

    The first of all workers looks for the database: no request has to come before the log says
    that it cannot be used.
    """
    gate()
    if worker.age == 1:
        # It needs Django, which only the application has set up.
        from orchestrator_site.readiness import report_database  # noqa: PLC0415

        report_database()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that died; its counts stay."""
    # Without their folder, there is nothing to forget.
    with contextlib.suppress(OSError):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
