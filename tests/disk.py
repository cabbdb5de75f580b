"""A small disk that tests can fill."""

import contextlib
import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

BLOCK = bytes(65_536)


class Disk:
    """A small disk, and a file on it (the balloon) that can take up all free space."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._balloon = folder / "balloon"

    def fill(self) -> None:
        with self._balloon.open("wb", buffering=0) as balloon:
            for block in (BLOCK, b"x"):
                with contextlib.suppress(_DiskFull):
                    while True:
                        _write(balloon.fileno(), block)

    def make_room(self) -> None:
        self._balloon.unlink(missing_ok=True)

    def remount(self, option: str) -> None:
        """Remount the disk as `ro`, which applies to root too, or as `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.folder], check=True)


class _DiskFull(Exception):
    pass


def _write(descriptor: int, block: bytes) -> None:
    try:
        os.write(descriptor, block)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _DiskFull from error


@contextlib.contextmanager
def mounted_disk(size: str) -> Iterator[Disk]:
    """Mount a disk of `size`, as `mount` takes it; skip the test if mounting is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"this machine does not allow mounting a disk: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()
