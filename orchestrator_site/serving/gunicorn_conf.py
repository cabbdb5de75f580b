"""gunicorn's configuration; its numbers come from the settings."""

import atexit
import contextlib
import gc
import logging
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


logger = logging.getLogger(__name__)

# How long a thread waits for the next part of a request.
RECEIVE_SECONDS = 5
# Files besides client connections: database, Reflex Layer, logs, metrics.
OTHER_FILES = 100


def _remove(folder: str, owner: int) -> None:
    """Remove `folder` when the process that made it exits, but not when a forked worker does."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _connections_within_files() -> int:
    """Raise the limit of open files if possible; return how many connections it allows."""
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
        # Writing there fails, which is logged like a failure of any other folder.
        _own_dir = os.devnull
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _own_dir

# prometheus_client reads PROMETHEUS_MULTIPROC_DIR when it is imported.
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
# Development reloads changed code; production loads the code once, before the workers fork.
reload = settings.DEVELOPMENT
preload_app = not settings.DEVELOPMENT
logconfig_dict = settings.LOGGING
logger_class = "orchestrator_site.serving.gunicorn_log.Logger"
# Longer than a reverse proxy usually keeps idle connections, so that the proxy closes them.
keepalive = 75
graceful_timeout = 30
control_socket_disable = True
# By default, gunicorn lets any process of this machine set SCRIPT_NAME and PATH_INFO by headers.
forwarder_headers = ""
# As long as a header may be, so that a URL with a token in it gets our answer and not gunicorn's.
limit_request_line = 8190
if Path("/dev/shm").is_dir():  # noqa: S108
    # Workers touch a file here as a heartbeat. On a busy disk, a live worker could look dead.
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def on_starting(server: Any) -> None:
    """Exit with one log line if the address cannot be used; start with empty counts."""
    server.__class__ = Master
    if server.cfg.bind == [bind] and (reason := why_unusable(settings.HOST, settings.PORT)):
        server.log.error(
            "Cannot listen: set ORCHESTRATOR_HOST and ORCHESTRATOR_PORT to a free address of "
            "this machine",
            extra={"address": bind, "reason": reason},
        )
        sys.exit(1)
    # The counts of an earlier run would be added to ours.
    with contextlib.suppress(OSError):
        for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db"):
            file.unlink()


def when_ready(server: Any) -> None:
    """Prepare what all workers inherit."""
    # Objects that are loaded by now live until the end. Without this, the garbage collector of
    # each worker would scan them, which also copies their memory: requests would wait for half a
    # second.
    gc.collect()
    gc.freeze()
    _tell_what_is_open()
    for listener in server.LISTENERS:
        _bound_receiving(listener.sock)


def _tell_what_is_open() -> None:
    """Log what lets tasks in unchecked.

    Not when Django starts, since the output of commands goes to the same stream.
    """
    if not settings.ENABLE_REFLEX_INTEGRATION:
        logger.warning(
            "The Reflex Layer integration is switched off: tasks are accepted unscreened"
        )
    if settings.ANONYMOUS_ACCESS:
        logger.info("Anonymous access is on: no API key or token is needed to submit tasks")


def _bound_receiving(listener: socket.socket) -> None:
    """Stop silent clients from holding threads, on Linux.

    Accepted sockets inherit both options from the listening socket. TCP_DEFER_ACCEPT: the kernel
    holds a connection back until its client sends something. SO_RCVTIMEO: a client that stops in
    the middle of a request is dropped. A slow client still holds a thread; only a buffering proxy
    prevents that.
    """
    if sys.platform == "linux" and listener.family != socket.AF_UNIX:
        seconds = struct.pack("ll", RECEIVE_SECONDS, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, RECEIVE_SECONDS)


def post_fork(server: Any, worker: Any) -> None:
    """Give the worker the signals that arrive before it installs its own handlers."""
    worker.signals = server.SIG_QUEUE


def post_worker_init(worker: Any) -> None:
    """Create the gate before the first request, so that metrics show the circuit's state at once.

    Each worker also begins to fetch the keys of the issuer of tokens, and the first one checks the
    database. So the log reports what cannot be used before any request needs it.
    """
    # These imports need Django, which is set up when the application is loaded.
    from orchestrator_site.readiness import report_database  # noqa: PLC0415
    from tasks.clients.authentication import authenticator  # noqa: PLC0415

    gate()
    authenticator().begin_fetch()
    if worker.age == 1:
        report_database()


def child_exit(server: Any, worker: Any) -> None:
    """Remove the gauges of a worker that died, but keep its counts."""
    # Without the folder, there is nothing to remove.
    with contextlib.suppress(OSError):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
