"""Serve the Reflex Layer: `python -m safety.reflex_layer [--host H] [--port P] [--fd N]`."""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.util import import_app

from .template import Template

THREADS = 64
# Threads that are reserved for short texts, `/health`, `/ready` and `/metrics`.
THREADS_FOR_OTHERS = 16

OPTIONS: dict[str, Any] = {
    "worker_class": "gthread",
    # A single process, because the metrics are in its memory. Long texts go to other processes.
    "workers": 1,
    # Most threads only wait for the processes that screen long texts.
    "threads": THREADS,
    # Long, because a client may be about to use an idle connection when the server closes it.
    "keepalive": 75,
    "graceful_timeout": 5,
    "control_socket_disable": True,
    # At the level of warnings, gunicorn logs the content of broken requests, which may include
    # a text.
    "loglevel": "error",
    "proc_name": "reflex-layer",
}


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn on a socket that is already bound."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        super().__init__()

    def load_config(self) -> None:
        for name, value in OPTIONS.items():
            self.cfg.set(name, value)
        self.cfg.set("bind", f"fd://{self.fd}")

    def load(self) -> Callable[..., Any]:
        """Make the application and its pool in the serving process."""
        # The template comes first, so that both processes import the engine at the same time.
        template = Template()
        application_class = import_app("safety.reflex_layer.app:Application")
        application: Callable[..., Any] = application_class(THREADS - THREADS_FOR_OTHERS, template)
        return application


def main() -> None:
    """Bind a socket, unless the caller passes one, and serve until SIGTERM or SIGINT."""
    arguments = parse_arguments()
    # A supervisor may run the web processes too. Their metrics directory is not for this process.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    try:
        fd = arguments.fd if arguments.fd is not None else bind(arguments.host, arguments.port)
        check_socket(fd)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        sys.exit(f"The Reflex Layer cannot listen on {address(arguments)}: {reason}")
    Server(fd).run()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m safety.reflex_layer", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fd", type=int, help="file descriptor of a listening socket")
    return parser.parse_args()


def bind(host: str, port: int) -> int:
    """Bind here rather than in gunicorn, which retries a busy port for seconds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048).detach()


def check_socket(fd: int) -> None:
    """Raise OSError if the descriptor is not a socket."""
    with socket.socket(fileno=os.dup(fd)) as listener:
        listener.getsockname()


def address(arguments: argparse.Namespace) -> str:
    if arguments.fd is not None:
        return f"file descriptor {arguments.fd}"
    return f"{arguments.host}:{arguments.port}"


if __name__ == "__main__":
    main()
