"""Our gunicorn configuration, with a SIGTERM that reaches a worker right after its fork."""

import os
import signal
from typing import Any

from orchestrator_site.serving import gunicorn_conf
from orchestrator_site.serving.gunicorn_conf import *  # noqa: F403 - gunicorn wants the names here


def post_fork(server: Any, worker: Any) -> None:
    os.kill(server.pid, signal.SIGTERM)
    # Wait until the master has sent the signal to this worker, which has no own handlers yet.
    server.SIG_QUEUE.put(server.SIG_QUEUE.get(timeout=10))
    gunicorn_conf.post_fork(server, worker)
