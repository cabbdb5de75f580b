"""Our configuration of gunicorn, where the order to stop meets a worker at its fork."""

import os
import signal
from typing import Any

from orchestrator_site.serving import gunicorn_conf
from orchestrator_site.serving.gunicorn_conf import *  # noqa: F403 - gunicorn wants the names here


def post_fork(server: Any, worker: Any) -> None:
    os.kill(server.pid, signal.SIGTERM)
    # What the master then sends us, before our own handlers are there.
    server.SIG_QUEUE.put(server.SIG_QUEUE.get(timeout=10))
    gunicorn_conf.post_fork(server, worker)
