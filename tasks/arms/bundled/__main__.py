"""Serve the bundled arm: `python -m tasks.arms.bundled [--host H] [--port P] [--fd N]`."""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from tasks.arms.bundled.app import Application

OPTIONS: dict[str, Any] = {
    "worker_class": "gthread",
    "workers": 1,
    "threads": 8,
    "graceful_timeout": 25,
    "control_socket_disable": True,
    # At the level of warnings, gunicorn logs the content of broken requests, which may include
    # texts.
    "loglevel": "error",
    "proc_name": "bundled-arm",
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
        return Application()


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
        sys.exit(f"The bundled arm cannot listen on {address(arguments)}: {reason}")
    Server(fd).run()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tasks.arms.bundled", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
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
